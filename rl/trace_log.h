// Sampled rollouts as JSON lines that a person can read, in the run folder's traces/.
#pragma once

#include <string>
#include <vector>

#include "rl/env/task.h"
#include "trainer/metrics/metric_logger.h"

namespace terse::rl {

// Traces are samples: a disk that refuses them is one warning, and training goes on.
class TraceLog {
 public:
  // Appends to traces/<stage>.jsonl of the run. Both outlive the log.
  TraceLog(trainer::MetricLogger& record, const Task& task) : record_(record), task_(task) {}

  // The file of a stage, as a path in the run folder.
  static std::string file(const std::string& stage) { return "traces/" + stage + ".jsonl"; }

  // The first two groups of a training step, one right and one wrong rollout of each where there are both.
  void training(int64_t step, const std::vector<RolloutGroup>& groups) const;
  // The first sample of an evaluation group. The same problems come back at every evaluation, so that traces can be
  // compared.
  void evaluation(const std::string& stage, int64_t step, const RolloutGroup& group) const;

 private:
  void write(const std::string& stage, int64_t step, const char* logged_for, const Problem& problem,
             const Rollout& rollout) const;

  trainer::MetricLogger& record_;
  const Task& task_;
};

}  // namespace terse::rl
