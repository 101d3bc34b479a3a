// The rungs from verbose to direct that the compression controller walks down, rendered for any problem of a task.
//
// First the taught forms that think, longest first; then the shortest of them with only every m-th thinking token kept
// (m = 1 leaves out the last, which the answer repeats or follows from); at last no thinking at all. Rungs past the
// taught forms are taught by no one: the controller proposes them, and keeps them only if the policy masters them.
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
  int64_t count() const { return static_cast<int64_t>(forms_.size()) + strides_; }
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
  int64_t strides_ = 0;
  std::vector<Difficulty> difficulties_;
};

}  // namespace terse::rl
