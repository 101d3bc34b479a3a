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

void write_contents(Io& io, const Io::Path& folder, const SaveJob& job) {
  Manifest manifest{job.info, utc_now(), TERSE_VERSION, {}};
  const std::vector<std::vector<Piece>> files = plan_shards(job);
  for (size_t i = 0; i < files.size(); ++i) {
    std::vector<PieceData> pieces;
    for (const Piece& piece : files[i]) pieces.push_back({piece, flat_part(job.tensors.at(piece.name), piece)});
    const ShardImage image = build_shard(pieces);
    const std::string name = files.size() == 1 ? "rank-0.h5" : fmt::format("rank-0.{}.h5", i);
    manifest.files.push_back(write_hashed(io, folder, name, image.bytes()));
    manifest.files.back().pieces = files[i];
  }
  manifest.files.push_back(write_hashed(io, folder, kExtraName, job.extra));
  const std::string text = manifest_text(manifest);
  write_file(io, folder / kManifestName, text);
  write_file(io, folder / kManifestHashName, manifest_hash_text(text));
  io.sync_folder(folder);
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

// Asks again when the answer is no: a disk that could not read once may only have had passing trouble, and what is
// taken for damaged here is removed.
template <typename Ask>
auto ask_twice(const Ask& ask) {
  const auto answer = ask();
  return answer ? answer : ask();
}

// nullopt when the manifest is damaged.
std::optional<double> read_score(Io& io, const Io::Path& checkpoint) {
  try {
    return read_manifest(io, checkpoint).info.score;
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

// The steps that stay; empty when fewer than `keep` verify.
std::vector<int64_t> select_kept(Io& io, const Io::Path& dir, const std::vector<StepEntry>& steps, int64_t newest,
                                 int64_t keep) {
  const auto verifies = [&](int64_t step) {
    const auto look = [&] { return check_checkpoint(io, dir / step_name(step), Depth::kHashes, nullptr).empty(); };
    return step == newest || ask_twice(look);
  };
  std::vector<int64_t> kept;
  for (const StepEntry& entry : steps) {
    if (static_cast<int64_t>(kept.size()) == keep) break;
    if (entry.kind == EntryKind::kFolder && verifies(entry.step)) kept.push_back(entry.step);
  }
  if (static_cast<int64_t>(kept.size()) < keep) return {};

  std::vector<std::pair<double, int64_t>> scores;
  for (const StepEntry& entry : steps) {
    const auto score = ask_twice([&] { return read_score(io, dir / step_name(entry.step)); });
    if (score && std::isfinite(*score)) scores.emplace_back(*score, entry.step);
  }
  std::sort(scores.rbegin(), scores.rend());  // best first, newest first among equals
  for (const auto& [score, step] : scores) {
    const bool is_kept = std::find(kept.begin(), kept.end(), step) != kept.end();
    if (is_kept || verifies(step)) {
      if (!is_kept) kept.push_back(step);
      break;
    }
  }
  return kept;
}

}  // namespace

void write_checkpoint(Io& io, const Io::Path& dir, Scratch& scratch, const SaveJob& job) {
  const Io::Path final = dir / step_name(job.info.step);
  const Io::Path temporary = scratch.add(final);
  io.make_folder(temporary);
  write_contents(io, temporary, job);
  put_in_place(io, scratch, temporary, final);
  io.sync_folder(dir);  // from here on the checkpoint exists
  write_latest(io, dir, scratch, job.info.step);
}

void prune(Io& io, const Io::Path& dir, Scratch& scratch, int64_t newest, int64_t keep) {
  const std::vector<StepEntry> steps = list_steps(io, dir);
  if (static_cast<int64_t>(steps.size()) <= keep) return;
  const std::vector<int64_t> kept = select_kept(io, dir, steps, newest, keep);
  if (kept.empty()) return;
  for (const StepEntry& entry : steps) {
    if (entry.step >= newest || std::find(kept.begin(), kept.end(), entry.step) != kept.end()) continue;
    const Io::Path path = dir / step_name(entry.step);
    const Io::Path away = scratch.add(path);
    scratch.retire(away);
    io.rename(path, away);
  }
}

void remove_leftovers(Io& io, const Io::Path& dir) {
  for (const Entry& entry : io.list(dir)) {
    if (is_leftover(entry.name)) remove_tree(io, dir / entry.name);
  }
}

}  // namespace terse::checkpoints
