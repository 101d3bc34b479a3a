// Counts crashes backwards from the last start. The count ends at a start from another checkpoint and at one that saved
// on a signal.
#include "launch/run/starts.h"

#include <fmt/format.h>

#include <fstream>

#include "base/durable.h"
#include "checkpoints/store.h"

namespace terse::launch {

namespace fs = std::filesystem;

namespace {

nlohmann::json read_record(const fs::path& dir) {
  std::ifstream stream(dir / "environment.json");
  auto record = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  const bool sound = record.is_object() && record.contains("starts") && record["starts"].is_array();
  return sound ? record : nlohmann::json::object();
}

nlohmann::json newest_checkpoint(const fs::path& dir) {
  const auto all = checkpoints::list_checkpoints(dir / "checkpoints");
  return all.empty() ? nlohmann::json() : nlohmann::json(all.front().filename().string());
}

// A start without "checkpoint" was recorded by an earlier version and does not count as a crash.
bool crashed_at(const nlohmann::json& start, const nlohmann::json& checkpoint) {
  return start.is_object() && start.contains("checkpoint") && start["checkpoint"] == checkpoint &&
         !start.contains("ended");
}

}  // namespace

nlohmann::json read_starts(const fs::path& dir) {
  const nlohmann::json record = read_record(dir);
  return record.empty() ? nlohmann::json::array() : record["starts"];
}

nlohmann::json describe_start(const fs::path& dir, bool retry) {
  nlohmann::json start = {{"checkpoint", newest_checkpoint(dir)}};
  if (retry) start["retry"] = true;
  return start;
}

void refuse_crash_loop(const fs::path& dir) {
  const nlohmann::json starts = read_starts(dir), checkpoint = newest_checkpoint(dir);
  int64_t crashes = 0;
  for (auto start = starts.rbegin(); start != starts.rend() && crashed_at(*start, checkpoint); ++start) {
    ++crashes;
    if (start->contains("retry")) break;
  }
  if (crashes < kStartsWithoutProgress) return;
  throw NoProgress(fmt::format(
      "{}: the last {} starts all began {} and ended without a newer checkpoint, so another start would most likely do "
      "the same.\nThe output of these starts shows why they ended, and {} shows where they stopped. Remove the cause, "
      "then start the run once with --retry.",
      dir.string(), crashes,
      checkpoint.is_null() ? "without a checkpoint" : "from checkpoint " + checkpoint.get<std::string>(),
      (dir / "log.txt").string()));
}

void record_saved(const fs::path& dir) {
  nlohmann::json record = read_record(dir);
  if (record.empty() || record["starts"].empty() || !record["starts"].back().is_object()) return;
  record["starts"].back()["ended"] = "saved on a signal";
  write_durably(dir / "environment.json", record.dump(2) + "\n");
}

}  // namespace terse::launch
