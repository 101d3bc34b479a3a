// Orders the file operations so that a checkpoint appears completely or not at all.
#include "checkpoints/writer.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/sha256.h"

namespace terse::checkpoints {

namespace {

FileEntry write_hashed(FileSystem& fs, const FileSystem::Path& folder, const std::string& name,
                       std::string_view bytes) {
  write_file(fs, folder / name, bytes);
  return {name, bytes.size(), sha256_bytes(bytes), {}};
}

// The elements of a piece, without a copy when the tensor is contiguous.
torch::Tensor flat_part(const Shard& shard, const Piece& piece) {
  return shard.data.detach().reshape({-1}).slice(0, piece.begin - shard.begin, piece.end - shard.begin);
}

// Swaps two folders on a file system that has no atomic exchange. For an instant neither folder has the final name; a
// load in that instant uses the previous checkpoint.
void rename_twice(FileSystem& fs, Scratch& scratch, const FileSystem::Path& temporary, const FileSystem::Path& final) {
  const FileSystem::Path replaced = scratch.add(final);
  scratch.retire(replaced);
  fs.rename(final, replaced);
  try {
    fs.rename(temporary, final);
  } catch (const std::exception&) {
    try {
      fs.rename(replaced, final);
    } catch (const std::exception&) {  // the first error is the one to report
    }
    throw;
  }
}

// Gives the finished folder its name. A checkpoint that already has this name gets a temporary one.
void put_in_place(FileSystem& fs, Scratch& scratch, const FileSystem::Path& temporary, const FileSystem::Path& final) {
  if (fs.kind(final) == EntryKind::kNone) return fs.rename(temporary, final);
  scratch.retire(temporary);
  if (!fs.exchange(temporary, final)) rename_twice(fs, scratch, temporary, final);
}

// Replaces `latest` atomically: readers see the old line or the new one.
void write_latest(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, int64_t step) {
  const FileSystem::Path latest = dir / kLatestName;
  const FileSystem::Path temporary = scratch.add(latest);
  write_file(fs, temporary, step_name(step) + "\n");
  fs.rename(temporary, latest);
  fs.sync_folder(dir);
}

}  // namespace

std::vector<FileEntry> write_shards(FileSystem& fs, const FileSystem::Path& folder, const SaveJob& job, int rank) {
  const std::vector<std::vector<Piece>> plan = plan_shards(job);
  std::vector<FileEntry> files;
  for (size_t i = 0; i < plan.size(); ++i) {
    std::vector<PieceData> pieces;
    for (const Piece& piece : plan[i]) pieces.push_back({piece, flat_part(job.tensors.at(piece.name), piece)});
    const ShardImage image = build_shard(pieces);
    const std::string name = plan.size() == 1 ? fmt::format("rank-{}.h5", rank) : fmt::format("rank-{}.{}.h5", rank, i);
    files.push_back(write_hashed(fs, folder, name, image.bytes()));
    files.back().pieces = plan[i];
  }
  return files;
}

void write_manifest(FileSystem& fs, const FileSystem::Path& folder, const SaveJob& job, std::vector<FileEntry> shards) {
  Manifest manifest{job.info, utc_now(), TERSE_VERSION, std::move(shards)};
  manifest.files.push_back(write_hashed(fs, folder, kExtraName, job.extra));
  for (const auto& [name, text] : job.files) manifest.files.push_back(write_hashed(fs, folder, name, text));
  const std::string text = manifest_text(manifest);
  write_file(fs, folder / kManifestName, text);
  write_file(fs, folder / kManifestHashName, manifest_hash_text(text));
  fs.sync_folder(folder);
}

void publish(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, const FileSystem::Path& folder,
             int64_t step) {
  put_in_place(fs, scratch, folder, dir / step_name(step));
  fs.sync_folder(dir);  // from here on the checkpoint exists
  write_latest(fs, dir, scratch, step);
}

void write_checkpoint(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, const SaveJob& job) {
  const FileSystem::Path folder = scratch.add(dir / step_name(job.info.step));
  fs.make_folder(folder);
  write_manifest(fs, folder, job, write_shards(fs, folder, job, 0));
  publish(fs, dir, scratch, folder, job.info.step);
}

}  // namespace terse::checkpoints
