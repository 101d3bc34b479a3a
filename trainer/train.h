// The supervised loop: pretraining and fine-tuning differ in their batches and in how they are evaluated, not in the
// loop.
#pragma once

#include <functional>
#include <string>

#include "data/batch_stream.h"
#include "trainer/gradient_plan.h"
#include "trainer/loss.h"
#include "trainer/session.h"

namespace terse::trainer {

struct SupervisedStage {
  std::string name;  // "pretrain" or "sft"
  int64_t steps = 0;
  PassLimit limit;
  int64_t eval_every = 0;  // steps; 0: never during training
  configs::Optimizer optimizer;
  data::BatchStream* stream = nullptr;
  // Called with the step before the record of every eval_every-th step and of the last step. Its values are added to
  // the metrics. May be empty.
  std::function<Metrics(int64_t step)> evaluate;
};

// Runs the stage from where it was interrupted, or from the start, to its last step. Returns its progress. Throws
// SavedAndStopped after a requested stop.
StageProgress train(Session& session, const SupervisedStage& stage);

// This rank's part of a batch, on the CPU: its own_share() (gradient_sum.h) of the sequences.
struct BatchShare {
  data::Batch mine;
  int64_t sequences = 0;  // of the whole batch

  // Returns this rank's part of a batch of `sequences` sequences. `read` reads or makes the sequences of a range.
  static BatchShare own(const Transformer& model, int64_t sequences,
                        const std::function<data::Batch(SequenceRange)>& read);
};

// Runs forward and backward passes over a batch, in micro-batches up to `limit`. Adds the gradient of scale *
// sum(weight * -logprob) / total_weight to the model's. Returns the loss sum of the whole batch, without `scale`, on
// every rank. Collective.
LossSum accumulate_cross_entropy(Transformer& model, const BatchShare& batch, PassLimit limit, double scale = 1.0,
                                 const ForwardMode& mode = {});
// Returns the same loss sum without computing gradients. Collective.
LossSum cross_entropy(Transformer& model, const BatchShare& batch);

}  // namespace terse::trainer
