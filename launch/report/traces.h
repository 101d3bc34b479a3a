// Pairs sampled responses to the same problem, at the first and at the last evaluation.
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
  std::string response;  // truncated when very long
  int64_t tokens = 0;
  bool correct = false;
  std::string form;
};

struct TracePair {
  std::string prompt;
  int64_t difficulty = 0;
  Trace before, after;
};

// Reads the evaluation traces in `folder`/<stage>.jsonl and pairs them by problem: the earliest one at or after `from`
// (a global step) and the latest one. Returns the first problems of each difficulty, at most 16 in all, whatever their
// outcome. `global_step(stage, step)` orders the traces. `skipped` grows by the number of lines that cannot be read.
std::vector<TracePair> read_trace_pairs(const std::filesystem::path& folder, int64_t from,
                                        const std::function<int64_t(const std::string&, int64_t)>& global_step,
                                        int64_t& skipped);

}  // namespace terse::launch::report
