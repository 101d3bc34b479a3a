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
  int64_t micro_batch = 0;  // sequences per forward pass; 0: all
  int64_t eval_every = 0;   // steps; 0: never during training
  configs::Optimizer optimizer;
  data::BatchStream* stream = nullptr;
  // Called before every eval_every-th step's record and given the step; its values join the metrics. May be empty.
  std::function<Metrics(int64_t step)> evaluate;
};

// Runs the stage from where it was interrupted, or from the start, to its last step. Returns its progress.
StageProgress train(Session& session, const SupervisedStage& stage);

// What a rank has of a batch on the CPU: its own_share (gradient_sum.h) of the sequences.
struct BatchShare {
  data::Batch mine;
  int64_t sequences = 0;  // of the whole batch

  // Of a batch of so many sequences, of which `read` reads or makes those that it is asked for.
  static BatchShare own(const Transformer& model, int64_t sequences,
                        const std::function<data::Batch(SequenceRange)>& read);
};

// Forward, loss and backward of a batch in micro-batches of at most so many sequences (0: all): adds the gradient of
// sum(weight * -logprob) / total_weight to the model's, and returns the loss sum of the whole batch, on every rank.
// `scale` multiplies the loss.
LossSum accumulate_cross_entropy(Transformer& model, const BatchShare& batch, int64_t micro_batch, double scale = 1.0);
// The same loss sum without gradients.
LossSum cross_entropy(Transformer& model, const BatchShare& batch);

}  // namespace terse::trainer
