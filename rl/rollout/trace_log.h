// Writes sampled rollouts as human-readable JSON lines into the run folder's traces/.
#pragma once

#include <string>
#include <vector>

#include "rl/tasks/tokenized_task.h"
#include "trainer/metrics/metric_logger.h"

namespace terse::rl {

// Traces are only samples: a failing disk causes one warning, and training continues.
class TraceLog {
 public:
  // Appends to traces/<stage>.jsonl of the run. Both references must outlive the log.
  TraceLog(trainer::MetricLogger& record, const TokenizedTask& task) : record_(record), task_(task) {}

  // The file of a stage, as a path in the run folder.
  static std::string file(const std::string& stage) { return "traces/" + stage + ".jsonl"; }

  // Writes one right and one wrong rollout, if they exist, of each of the first two groups of a training step.
  void training(int64_t step, const std::vector<RolloutGroup>& groups) const;
  // Writes the first sample of an evaluation group. Every evaluation uses the same problems, so the traces of different
  // steps can be compared.
  void evaluation(const std::string& stage, int64_t step, const RolloutGroup& group) const;

 private:
  void write(const std::string& stage, int64_t step, const char* logged_for, const Problem& problem,
             const Rollout& rollout) const;

  trainer::MetricLogger& record_;
  const TokenizedTask& task_;
};

}  // namespace terse::rl
