// The order of operations that makes a checkpoint appear whole or not at all.
#include "checkpoints/writer.h"

#include <fmt/format.h>

#include <ctime>

#include "configs/sha256.h"

namespace terse::checkpoints {

namespace {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

FileEntry write_hashed(Io& io, const Io::Path& folder, const std::string& name, std::string_view bytes) {
  write_file(io, folder / name, bytes);
  return {name, bytes.size(), configs::sha256_bytes(bytes), {}};
}

// The elements of a piece; no copy when the tensor is contiguous.
torch::Tensor flat_part(const Shard& shard, const Piece& piece) {
  return shard.data.detach().reshape({-1}).slice(0, piece.begin - shard.begin, piece.end - shard.begin);
}

// Swaps without the file system's help. There is an instant with neither folder; the checkpoint before this step stands
// in.
void rename_twice(Io& io, Scratch& scratch, const Io::Path& temporary, const Io::Path& final) {
  const Io::Path replaced = scratch.add(final);
  scratch.retire(replaced);
  io.rename(final, replaced);
  try {
    io.rename(temporary, final);
  } catch (const std::exception&) {
    try {
      io.rename(replaced, final);
    } catch (const std::exception&) {  // the first error is the one to report
    }
    throw;
  }
}

// Gives the finished folder its name; a checkpoint that had it gets a temporary one.
void put_in_place(Io& io, Scratch& scratch, const Io::Path& temporary, const Io::Path& final) {
  if (io.kind(final) == EntryKind::kNone) return io.rename(temporary, final);
  scratch.retire(temporary);
  if (!io.exchange(temporary, final)) rename_twice(io, scratch, temporary, final);
}

// Readers see the old line or the new one.
void write_latest(Io& io, const Io::Path& dir, Scratch& scratch, int64_t step) {
  const Io::Path latest = dir / kLatestName;
  const Io::Path temporary = scratch.add(latest);
  write_file(io, temporary, step_name(step) + "\n");
  io.rename(temporary, latest);
  io.sync_folder(dir);
}

}  // namespace

std::vector<FileEntry> write_shards(Io& io, const Io::Path& folder, const SaveJob& job, int rank) {
  const std::vector<std::vector<Piece>> plan = plan_shards(job);
  std::vector<FileEntry> files;
  for (size_t i = 0; i < plan.size(); ++i) {
    std::vector<PieceData> pieces;
    for (const Piece& piece : plan[i]) pieces.push_back({piece, flat_part(job.tensors.at(piece.name), piece)});
    const ShardImage image = build_shard(pieces);
    const std::string name = plan.size() == 1 ? fmt::format("rank-{}.h5", rank) : fmt::format("rank-{}.{}.h5", rank, i);
    files.push_back(write_hashed(io, folder, name, image.bytes()));
    files.back().pieces = plan[i];
  }
  return files;
}

void write_manifest(Io& io, const Io::Path& folder, const SaveJob& job, std::vector<FileEntry> shards) {
  Manifest manifest{job.info, utc_now(), TERSE_VERSION, std::move(shards)};
  manifest.files.push_back(write_hashed(io, folder, kExtraName, job.extra));
  const std::string text = manifest_text(manifest);
  write_file(io, folder / kManifestName, text);
  write_file(io, folder / kManifestHashName, manifest_hash_text(text));
  io.sync_folder(folder);
}

void publish(Io& io, const Io::Path& dir, Scratch& scratch, const Io::Path& folder, int64_t step) {
  put_in_place(io, scratch, folder, dir / step_name(step));
  io.sync_folder(dir);  // from here on the checkpoint exists
  write_latest(io, dir, scratch, step);
}

void write_checkpoint(Io& io, const Io::Path& dir, Scratch& scratch, const SaveJob& job) {
  const Io::Path folder = scratch.add(dir / step_name(job.info.step));
  io.make_folder(folder);
  write_manifest(io, folder, job, write_shards(io, folder, job, 0));
  publish(io, dir, scratch, folder, job.info.step);
}

}  // namespace terse::checkpoints
