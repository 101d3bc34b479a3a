// The rungs from verbose to direct that the compression controller walks down, rendered for any problem of a task.
//
// These are the taught forms that think, longest first; the last one, without any thinking, is left to the policy's own
// finding.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rl/env/task.h"

namespace terse::rl {

class Ladder {
 public:
  explicit Ladder(const Task& task);

  // Rungs 0..count - 1.
  int64_t count() const { return static_cast<int64_t>(forms_.size()); }
  // A correct response on this rung.
  std::vector<int32_t> trace(const Problem& problem, int64_t rung) const;
  // Mean length of each rung's traces at a difficulty, tokens; never rising.
  const std::vector<double>& lengths(int64_t difficulty) const;
  // The last rung that still shortens traces of this difficulty.
  int64_t last(int64_t difficulty) const;

 private:
  struct Difficulty {
    int64_t value;
    std::vector<double> lengths;
  };
  const Task& task_;
  std::vector<std::string> forms_;
  std::vector<Difficulty> difficulties_;
};

}  // namespace terse::rl
