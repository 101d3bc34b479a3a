// Reads the options of each stage. Demonstrations and the student exist only with the adaptive penalty.
#include "launch/plan/stage_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "rl/compression/student.h"
#include "rl/engine/engine.h"

namespace terse::launch::plan {

namespace {

constexpr int64_t kValidationBatch = 16;  // as in launch/run/stages/sft_stage.cpp

int64_t divided_up(int64_t all, int64_t parts) {
  return (all + parts - 1) / parts;
}

void share_out(StageShape& shape, trainer::PassLimit limit) {
  shape.limit = limit;
  shape.own_sequences = shape.share(shape.sequences);
  for (const PlannedBatch& batch : shape.batches) {
    const int64_t pass = std::min(shape.most_sequences(batch) * batch.sharing, batch.items);
    shape.micro_batch = std::max(shape.micro_batch, pass);
  }
}

void rl_shape(const Run& run, StageShape& shape) {
  const configs::Rl& rl = run.config.rl;
  shape.steps = rl.steps;
  shape.eval_every = rl.eval_every;
  shape.rollouts = rl.prompts * rl.group_size;
  shape.updates = rl.updates_per_batch;
  shape.sequences = divided_up(shape.rollouts, rl.updates_per_batch);
  // A group is split into equal parts.
  const int64_t parts = divided_up(rl.group_size, rl.prompt_sharing);
  shape.batches = {{shape.sequences, divided_up(rl.group_size, parts)}};
  if (rl.penalty.kind == "adaptive") {
    shape.sequences += rl.demonstrations;
    if (rl.demonstrations > 0) shape.batches.push_back({rl.demonstrations});
    shape.student_updates = rl.student.updates;
    shape.student_sequences = rl.student.traces;
    if (shape.student_updates > 0) shape.batches.push_back({shape.student_sequences});
  }
  share_out(shape, {rl.micro_batch, rl.micro_tokens});
}

}  // namespace

int64_t StageShape::most_sequences(const PlannedBatch& batch) const {
  int64_t most = share(batch.sequences());
  if (limit.micro_batch > 0) most = std::min(most, limit.micro_batch / batch.sharing);
  if (limit.micro_tokens > 0) most = std::min(most, limit.micro_tokens / pass_of(batch, batch.sharing).tokens);
  return std::max<int64_t>(1, most);
}

StageShape shape_of(const Run& run, const std::string& stage) {
  StageShape shape;
  shape.learners = run.learners();
  shape.generators = run.splits() ? run.ranks - shape.learners : shape.learners;
  if (stage == "pretrain") {
    const configs::Pretrain& p = run.config.pretrain;
    shape.steps = p.steps;
    shape.sequence_tokens = shape.loss_rows = p.seq_len > 0 ? p.seq_len : run.config.model.max_seq_len;
    shape.sequences = shape.validated = p.batch_size;
    shape.batches = {{shape.sequences}};
    share_out(shape, {p.micro_batch, p.micro_tokens});
    return shape;
  }
  const int64_t trace = run.trace_tokens > 0 ? run.trace_tokens : run.response_tokens;
  const bool demonstrates = run.config.rl.penalty.kind == "adaptive";
  shape.loss_rows = stage == "sft" ? trace : demonstrates ? std::max(trace, run.response_tokens) : run.response_tokens;
  shape.sequence_tokens = run.prompt_tokens + shape.loss_rows;
  shape.prompt_rows = run.prompt_tokens - 1;
  if (stage == "sft") {
    shape.steps = run.config.sft.steps;
    shape.eval_every = run.config.sft.eval_every;
    // The plan does not read conversations. None is longer, and at most all of their tokens are learned.
    if (!run.config.sft.train.empty()) {
      shape.sequence_tokens = shape.loss_rows = run.config.model.max_seq_len;
      shape.prompt_rows = 0;
      shape.validated = std::min(run.config.sft.batch_size, kValidationBatch);
    }
    shape.sequences = run.config.sft.batch_size;
    shape.batches = {{shape.sequences}};
    share_out(shape, {run.config.sft.micro_batch, run.config.sft.micro_tokens});
  } else {
    rl_shape(run, shape);
  }
  return shape;
}

PlannedSharding sharding_of(const Run& run, int64_t learners) {
  const configs::Parallel& parallel = run.config.parallel;
  return {learners, run.ranks_per_node, parallel.zero, parallel.hierarchical};
}

namespace {

// Problems and samples of each one, shared out among ranks.
Generation generation(const Run& run, int64_t problems, int64_t samples, int64_t ranks) {
  const int64_t prompts = divided_up(problems, ranks);
  constexpr double kGib = 0x1p30;
  double cache = run.config.engine.kv_cache_gib * kGib;
  if (cache == 0 && !run.cuda()) cache = run.machine.memory_gib * kGib / rl::kCacheShare;
  return {.sequences = run.config.engine.max_batch,
          .prompt_tokens = run.prompt_tokens,
          .requests = prompts * samples,
          .prompts = prompts,
          .tokens = run.prompt_tokens + run.response_tokens,
          .cache_bytes = cache,
          .chunk = run.config.engine.chunked_prefill_size};
}

}  // namespace

Generation generation_of(const Run& run, const StageShape& shape) {
  const configs::RunConfig& config = run.config;
  Generation most = generation(run, shape.rollouts / config.rl.group_size, config.rl.group_size, shape.generators);
  most.requests = divided_up(shape.rollouts, shape.generators);
  const auto consider = [&](int64_t problems) {
    const Generation other = generation(run, problems * run.difficulties, 1, shape.learners);
    most.requests = std::max(most.requests, other.requests);
    most.prompts = std::max(most.prompts, other.prompts);
  };
  if (shape.student_updates > 0) consider(rl::Student::kGateProblems);
  if (shape.eval_every > 0 && shape.eval_every < shape.steps) consider(config.eval.quick_problems_per_difficulty);
  return most;
}

Generation evaluation_of(const Run& run, const StageShape& shape) {
  const configs::Eval& eval = run.config.eval;
  return generation(run, eval.problems_per_difficulty * run.difficulties, eval.samples, shape.learners);
}

}  // namespace terse::launch::plan
