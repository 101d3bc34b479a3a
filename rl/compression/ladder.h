// The ladder of forms, from verbose to direct, that the compression controller moves along. It renders a trace of any
// rung for any problem of a task.
//
// The first rungs are the taught forms that contain thinking, longest first. The rungs below keep only every second,
// third, ... thinking token of the last of these forms, so that each token has to carry several steps of thought. The
// last rung has no thinking at all. This removes thinking gradually, like "stepwise internalisation"
// (https://arxiv.org/abs/2405.14838), but the remaining tokens are spread evenly instead of cut from one end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rl/tasks/tokenized_task.h"

namespace terse::rl {

class Ladder {
 public:
  explicit Ladder(const TokenizedTask& task);

  // Number of rungs; they are 0..count() - 1.
  int64_t count() const { return static_cast<int64_t>(rungs_.size()); }
  // A correct response to `problem` in the form of this rung.
  std::vector<int32_t> trace(const Problem& problem, int64_t rung) const;
  // Mean length of each rung's traces at a difficulty of the task, tokens; never rising along the ladder.
  const std::vector<double>& lengths(int64_t difficulty) const;
  // The last rung that still shortens traces of this difficulty.
  int64_t last(int64_t difficulty) const;

 private:
  struct Rung {
    std::string form;
    size_t stride;  // keeps every stride-th thinking token; 1: the form itself
  };
  struct Difficulty {
    int64_t value;
    std::vector<double> lengths;
  };
  const TokenizedTask& task_;
  std::vector<Rung> rungs_;
  std::vector<Difficulty> difficulties_;
};

}  // namespace terse::rl
