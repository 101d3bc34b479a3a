// The curriculum of forms, from verbose to direct, that the compression controller moves along. It renders a trace of
// any level for any problem of a task.
//
// The first levels are the taught forms that contain thinking, longest first. The later levels keep only every second,
// third, ... thinking token of the last of these forms, so that each token has to carry several steps of thought. The
// last level has no thinking at all. This removes thinking gradually, like "stepwise internalisation"
// (https://arxiv.org/abs/2405.14838), but the remaining tokens are spread evenly instead of cut from one end.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rl/tasks/tokenized_task.h"

namespace terse::rl {

class Curriculum {
 public:
  explicit Curriculum(const TokenizedTask& task);

  // Number of levels; they are 0..count() - 1.
  int64_t count() const { return static_cast<int64_t>(levels_.size()); }
  // A correct response to `problem` in the form of this level.
  std::vector<int32_t> trace(const Problem& problem, int64_t level) const;
  // Mean length of each level's traces at a difficulty of the task, tokens; never rising along the curriculum.
  const std::vector<double>& lengths(const Difficulty& difficulty) const;
  // The last level that still shortens traces of this difficulty.
  int64_t last(const Difficulty& difficulty) const;

 private:
  struct Level {
    std::string form;
    size_t stride;  // keeps every stride-th thinking token; 1: the form itself
  };
  const TokenizedTask& task_;
  std::vector<Level> levels_;
  std::map<Difficulty, std::vector<double>> lengths_;
};

}  // namespace terse::rl
