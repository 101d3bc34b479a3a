// The rungs from verbose to direct that the compression controller walks down, rendered for any problem of a task.
//
// First the taught forms that think, longest first. Below the last of them nobody teaches anything: those rungs keep
// only every second, third, ... of its thinking tokens, so that each token has to carry several steps of thought; the
// last one answers at once. Removing thinking bit by bit is what "stepwise internalisation" does
// (https://arxiv.org/abs/2405.14838); here the tokens left are spread evenly instead of cut from one end.
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
  int64_t count() const { return static_cast<int64_t>(rungs_.size()); }
  // A correct response on this rung.
  std::vector<int32_t> trace(const Problem& problem, int64_t rung) const;
  // Mean length of each rung's traces at a difficulty, tokens; never rising.
  const std::vector<double>& lengths(int64_t difficulty) const;
  // The last rung that still shortens traces of this difficulty.
  int64_t last(int64_t difficulty) const;

 private:
  struct Rung {
    std::string form;
    size_t stride;  // 1: the form itself
  };
  struct Difficulty {
    int64_t value;
    std::vector<double> lengths;
  };
  const Task& task_;
  std::vector<Rung> rungs_;
  std::vector<Difficulty> difficulties_;
};

}  // namespace terse::rl
