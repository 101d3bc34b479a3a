// Sampled rollouts as JSON lines that a person can read, in the run folder's traces/.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "rl/env/task.h"

namespace terse::rl {

class TraceLog {
 public:
  // Appends to `folder`/<stage>.jsonl; the folder is created. An empty `folder`: writes nothing.
  TraceLog(std::filesystem::path folder, const Task& task);

  // The first two groups of a training step, one right and one wrong rollout of each where there are both.
  void training(int64_t step, const std::vector<RolloutGroup>& groups) const;
  // The first sample of an evaluation group. The same problems come back at every evaluation, so that traces can be
  // compared.
  void evaluation(const std::string& stage, int64_t step, const RolloutGroup& group) const;

 private:
  void write(const std::string& stage, int64_t step, const char* logged_for, const Problem& problem,
             const Rollout& rollout) const;

  std::filesystem::path folder_;
  const Task& task_;
};

}  // namespace terse::rl
