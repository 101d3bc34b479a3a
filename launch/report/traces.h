// Sampled responses of the same problem at the first and at the last evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace terse::launch::report {

struct Trace {
  std::string stage;
  int64_t step = 0;
  std::string response;  // cut when very long
  int64_t tokens = 0;
  bool correct = false;
  std::string form;
};

struct TracePair {
  std::string prompt;
  int64_t difficulty = 0;
  Trace before, after;
};

// Evaluation traces of `folder`/<stage>.jsonl, paired by problem: the earliest at or after `from` (a global step)
// beside the latest. The first problems of each difficulty, at most 16 in all; not chosen by their outcome. Counts
// lines that cannot be read in `skipped`. `global_step(stage, step)` orders them.
std::vector<TracePair> read_trace_pairs(const std::filesystem::path& folder, int64_t from,
                                        const std::function<int64_t(const std::string&, int64_t)>& global_step,
                                        int64_t& skipped);

}  // namespace terse::launch::report
