// Keeps checkpoints only after verifying them: one that cannot be read back protects nothing.
#include "checkpoints/retention.h"

#include <algorithm>
#include <cmath>

#include "checkpoints/reader.h"

namespace terse::checkpoints {

namespace {

// Asks again when the first answer is no. A read error may be transient, and a checkpoint that counts as damaged is
// removed.
template <typename Ask>
auto ask_twice(const Ask& ask) {
  const auto answer = ask();
  return answer ? answer : ask();
}

// nullopt when the manifest is damaged.
std::optional<CheckpointInfo> read_info(FileSystem& fs, const FileSystem::Path& checkpoint) {
  try {
    return read_manifest(fs, checkpoint).info;
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

// The steps that stay; empty when fewer than `keep` verify.
std::vector<int64_t> select_kept(FileSystem& fs, const FileSystem::Path& dir, const std::vector<StepEntry>& steps,
                                 int64_t newest, int64_t keep) {
  const auto verifies = [&](int64_t step) {
    const auto look = [&] { return check_checkpoint(fs, dir / step_name(step), Depth::kHashes, nullptr).empty(); };
    return step == newest || ask_twice(look);
  };
  std::vector<int64_t> kept;
  for (const StepEntry& entry : steps) {
    if (static_cast<int64_t>(kept.size()) == keep) break;
    if (entry.kind == EntryKind::kFolder && verifies(entry.step)) kept.push_back(entry.step);
  }
  if (static_cast<int64_t>(kept.size()) < keep) return {};

  // Scores of different stages cannot be compared: one is a loss, another an accuracy.
  const auto info_of = [&](int64_t step) { return ask_twice([&] { return read_info(fs, dir / step_name(step)); }); };
  const std::optional<CheckpointInfo> now = info_of(newest);
  std::vector<std::pair<double, int64_t>> scores;
  for (const StepEntry& entry : steps) {
    const auto info = info_of(entry.step);
    if (info && now && info->stage == now->stage && std::isfinite(info->score))
      scores.emplace_back(info->score, entry.step);
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

void prune(FileSystem& fs, const FileSystem::Path& dir, TemporaryNames& names, int64_t newest, int64_t keep) {
  const std::vector<StepEntry> steps = list_steps(fs, dir);
  if (static_cast<int64_t>(steps.size()) <= keep) return;
  const std::vector<int64_t> kept = select_kept(fs, dir, steps, newest, keep);
  if (kept.empty()) return;
  for (const StepEntry& entry : steps) {
    if (entry.step >= newest || std::find(kept.begin(), kept.end(), entry.step) != kept.end()) continue;
    names.set_aside(dir / step_name(entry.step));
  }
}

}  // namespace terse::checkpoints
