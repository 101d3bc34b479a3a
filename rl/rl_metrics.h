// The record of one RL step, and the metrics computed from it.
#pragma once

#include "rl/compression/compression_controller.h"
#include "rl/rollout_source.h"
#include "rl/update/policy_update.h"

namespace terse::rl {

struct StepRecord {
  RolloutBatch batch;
  UpdateResult update;         // of the first update
  double grad_norm = 0;        // of the last update
  PolicyStats stats;           // of all updates
  trainer::TokenWork trained;  // by all updates
  double lr = 0;
  double rollout_seconds = 0;    // time of generating here, or of waiting for groups
  bool generates_ahead = false;  // other ranks generate during the whole step
  double train_seconds = 0;
  double student_seconds = 0;
  std::optional<double> mfu;  // of the updates

  double seconds() const { return rollout_seconds + train_seconds + student_seconds; }

  void add(const UpdateResult& result, double norm, bool first);
  int64_t generated_tokens() const;
  std::optional<double> sampled_entropy() const;  // mean over all sampled tokens, nats
  // The metrics under the names of docs/metrics.md. In a mixture, those of the rollouts are there for each task, too,
  // as task/NAME/... Only tasks, difficulties and forms that occur in the rollouts have values, and a mean over nothing
  // is left out.
  trainer::Metrics metrics(double entropy_weight) const;
  // Adds the seconds of the gate to time/student and step_time, and corrects the rates over the step's time. The
  // gate takes place after metrics() was called.
  static void add_gate_seconds(trainer::Metrics& metrics, double seconds, bool generates_ahead);
};

// The controller's pressure, number of moves up, and limits. Only difficulties with an accuracy in `record` have a
// limit.
trainer::Metrics compression_metrics(const CompressionController& controller, const trainer::Metrics& record);

}  // namespace terse::rl
