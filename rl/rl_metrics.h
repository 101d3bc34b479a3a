// The record of one RL step: what it counts and the metrics made of that.
#pragma once

#include "rl/compression_controller.h"
#include "rl/policy_update.h"
#include "rl/rollout_source.h"

namespace terse::rl {

struct StepRecord {
  RolloutBatch batch;
  UpdateResult update;         // of the first update
  double grad_norm = 0;        // of the last update
  PolicyStats stats;           // of all updates
  int64_t trained_tokens = 0;  // of all updates
  double lr = 0;
  double rollout_seconds = 0;    // generating here, or waiting for groups
  bool generates_ahead = false;  // rollouts go on during the whole step
  double train_seconds = 0;
  double practice_seconds = 0;

  double seconds() const { return rollout_seconds + train_seconds + practice_seconds; }

  void add(const UpdateResult& result, double norm, bool first);
  int64_t generated_tokens() const;
  std::optional<double> sampled_entropy() const;  // mean over all sampled tokens, nats
  // Flat names as in docs/metrics.md; by difficulty and by form where the rollouts have them, and no mean over nothing.
  trainer::Metrics metrics(double entropy_weight) const;
  // Adds the seconds of an exam, which is taken after the record was made, to time/practice and step_time, and corrects
  // the rates that are per step.
  static void add_exam_seconds(trainer::Metrics& metrics, double seconds, bool generates_ahead);
};

// Where the controller stands: its limits for the difficulties of which `record` has an accuracy.
trainer::Metrics compression_metrics(const CompressionController& controller, const trainer::Metrics& record);

}  // namespace terse::rl
