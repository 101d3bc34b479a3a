// Reads the list of starts in environment.json and detects crash loops. Otherwise a scheduler would requeue for ever a
// run that dies at the same place each time.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace terse::launch {

// This many starts in a row from the same checkpoint, or all from none, are a crash loop.
constexpr int64_t kStartsWithoutProgress = 3;

// The last starts made no progress. Exit code 93.
class NoProgress : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Returns the list of starts. It is empty when the record is missing or unreadable.
nlohmann::json read_starts(const std::filesystem::path& dir);

// Describes a start from `dir` at this moment for the record. "checkpoint" is the name of the newest checkpoint
// ("step-40") or null. "retry" is true when the user asked for a retry, and otherwise absent.
nlohmann::json describe_start(const std::filesystem::path& dir, bool retry);

// Throws NoProgress when the last kStartsWithoutProgress starts all began from the checkpoint that is still the newest,
// and none of them ended with a save on a signal. A retry counts as a start, but no start before it does.
void refuse_crash_loop(const std::filesystem::path& dir);

// Records that the last start saved on a signal, so that it does not count as a crash. Throws DiskError.
void record_saved(const std::filesystem::path& dir);

}  // namespace terse::launch
