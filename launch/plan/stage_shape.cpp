// Reads the options of each stage. Demonstrations and the student exist only with the adaptive penalty.
#include "launch/plan/stage_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace terse::launch::plan {

namespace {

int64_t divided_up(int64_t all, int64_t parts) {
  return (all + parts - 1) / parts;
}

void share_out(StageShape& shape, int64_t micro_batch) {
  shape.own_sequences = shape.share(shape.sequences);
  const int64_t largest = shape.largest_share();
  shape.micro_batch = micro_batch > 0 ? std::min(micro_batch, largest) : largest;
}

void rl_shape(const Run& run, StageShape& shape) {
  const configs::Rl& rl = run.config.rl;
  shape.rollouts = rl.prompts * rl.group_size;
  shape.updates = rl.updates_per_batch;
  shape.sequences = divided_up(shape.rollouts, rl.updates_per_batch);
  shape.batches = {shape.sequences};
  if (rl.penalty.kind == "adaptive") {
    shape.sequences += rl.demonstrations;
    if (rl.demonstrations > 0) shape.batches.push_back(rl.demonstrations);
    shape.student_updates = rl.student.updates;
    shape.student_sequences = rl.student.traces;
    if (shape.student_updates > 0) shape.batches.push_back(shape.student_sequences);
  }
  share_out(shape, rl.micro_batch);
}

}  // namespace

StageShape shape_of(const Run& run, const std::string& stage) {
  StageShape shape;
  const bool split = run.splits();
  const int64_t samplers = split ? rl::rollout_ranks(run.config.parallel, run.ranks) : 0;
  shape.learners = run.ranks - samplers;
  shape.generators = split ? samplers : shape.learners;
  if (stage == "pretrain") {
    const configs::Pretrain& p = run.config.pretrain;
    shape.sequence_tokens = shape.loss_rows = p.seq_len > 0 ? p.seq_len : run.config.model.max_seq_len;
    shape.sequences = p.batch_size;
    shape.batches = {shape.sequences};
    share_out(shape, p.micro_batch);
    return shape;
  }
  shape.sequence_tokens = run.prompt_tokens + run.response_tokens;
  shape.loss_rows = run.response_tokens;
  if (stage == "sft") {
    // The plan does not read conversations. None is longer, and at most all of their tokens are learned.
    if (!run.config.sft.train.empty()) shape.sequence_tokens = shape.loss_rows = run.config.model.max_seq_len;
    shape.sequences = run.config.sft.batch_size;
    shape.batches = {shape.sequences};
    share_out(shape, run.config.sft.micro_batch);
  } else {
    rl_shape(run, shape);
  }
  return shape;
}

}  // namespace terse::launch::plan
