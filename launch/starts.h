// The starts of a run, as its environment.json lists them, and the rule that ends a crash loop: a scheduler that puts a
// job back in the queue would otherwise start a run for ever that dies at the same place each time.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace terse::launch {

// That many starts in a row from one checkpoint, or from none, are a crash loop.
constexpr int64_t kStartsWithoutProgress = 3;

// Exit code 93.
class NoProgress : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The list of starts; empty when there is no record or none that can be read.
nlohmann::json read_starts(const std::filesystem::path& dir);

// What a start from `dir` at this moment is recorded with: "checkpoint", the name of the newest one ("step-40") or
// null; "retry" when the user asked for it.
nlohmann::json describe_start(const std::filesystem::path& dir, bool retry);

// Throws NoProgress when the last kStartsWithoutProgress starts began from the checkpoint that is still the newest and
// none of them ended because a signal asked it to. A retry counts, but nothing before it does.
void refuse_crash_loop(const std::filesystem::path& dir);

// Notes that the last start saved on a signal, so that it does not count as a crash. Throws DiskError.
void record_saved(const std::filesystem::path& dir);

}  // namespace terse::launch
