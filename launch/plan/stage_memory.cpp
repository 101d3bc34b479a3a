// Compares the moments of a stage: passes, generation, checkpoints, and the evaluation after its steps.
#include "launch/plan/stage_memory.h"

#include <algorithm>

#include "rl/async/weight_sync.h"

namespace terse::launch::plan {

namespace {

// Token, target and position as int64, weight as fp32 (data::Batch).
constexpr double kBatchBytesPerToken = 3 * 8 + 4;
// Token, log-prob and entropy of a rollout (rl::Rollout).
constexpr double kRolloutBytesPerToken = 3 * 4;
// A piece of a weight that is read from files (trainer/saved_model, FrozenWeights), and the pages of the file.
constexpr double kPieceBytes = 2 * 4 * (4 << 20);

void add(std::vector<Consumer>& out, const std::string& name, double bytes) {
  if (bytes > 0) out.push_back({name, bytes});
}

void append(std::vector<Consumer>& out, const std::vector<Consumer>& more) {
  for (const Consumer& consumer : more) add(out, consumer.name, consumer.bytes);
}

void keep_larger(std::vector<Consumer>& worst, const std::vector<Consumer>& other) {
  if (total_bytes(other) > total_bytes(worst)) worst = other;
}

double batch_bytes(const StageShape& shape) {
  int64_t most = 0;
  for (const PlannedBatch& batch : shape.batches)
    most = std::max(most, shape.pass_of(batch, shape.share(batch.items)).tokens);
  return static_cast<double>(most) * kBatchBytesPerToken;
}

double rope_bytes(const ModelSpec& spec) {
  return static_cast<double>(spec.max_seq_len * spec.head_dim) * 4;
}

// Adds the memory of the student: it is a second model that learns and generates beside the policy, and has an
// average of its weights. It shares the frozen weights of the policy.
void add_student(const ModelSpec& spec, const PlannedSharding& sharding, const std::vector<Consumer>& own,
                 std::vector<Consumer>& out) {
  double bytes = 4 * shard_elements(trained_sizes(spec), sharding.shard().ranks);
  for (const Consumer& consumer : own) bytes += consumer.name == kFrozen ? 0 : consumer.bytes;
  out.push_back({"the student in total", bytes});
}

// Generation needs complete weights, so sharded ones are gathered.
std::vector<Consumer> generating(const Run& run, const PlannedSharding& sharding, const Generation& generation) {
  const ModelSpec spec = run.spec();
  double bytes = decoding_bytes(spec, generation, run.cuda());
  if (sharding.zero == 3 && sharding.ranks > 1) bytes += (spec.bf16 ? 2 : 4) * shard_elements(trained_sizes(spec), 1);
  return {{"generating a token", bytes}};
}

// Whether the engine of the stage also evaluates between steps.
bool evaluates(const Run& run, const StageShape& shape) {
  return shape.eval_every > 0 && shape.eval_every < shape.steps && run.has_task();
}

std::vector<Consumer> passes(const Run& run, const StageShape& shape) {
  const ModelSpec spec = run.spec();
  const PlannedSharding sharding = sharding_of(run, shape.learners);
  const bool cuda = run.cuda();
  std::vector<Consumer> worst;
  for (const PlannedBatch& batch : shape.batches) {
    for (const PassLoad& load : pass_loads(spec, sharding, cuda, batch.sequences(), shape.most_sequences(batch))) {
      const Pass pass = shape.pass_of(batch, std::min(load.sequences * batch.sharing, batch.items));
      for (const Moment moment : {Moment::kHead, Moment::kBlock}) {
        std::vector<Consumer> all = unit_bytes(spec, sharding, cuda, moment);
        all.push_back({"gradients waiting to be summed", load.waiting_bytes});
        all.push_back({"activations", activation_bytes(spec, cuda, pass)});
        all.push_back({cuda ? "logits and workspace" : "workspace", workspace_bytes(spec, cuda, pass, moment)});
        keep_larger(worst, all);
      }
    }
  }
  return worst;
}

// What the stage keeps from step to step.
std::vector<Consumer> kept(const Run& run, const StageShape& shape) {
  const ModelSpec spec = run.spec();
  const PlannedSharding sharding = sharding_of(run, shape.learners);
  std::vector<Consumer> out = state_bytes(spec, sharding, run.cuda());
  if (shape.rollouts > 0 || evaluates(run, shape))
    append(out, engine_bytes(spec, generation_of(run, shape), run.cuda()));
  if (shape.rollouts > 0) {
    const std::vector<Consumer> own = out;
    if (shape.student_updates > 0) add_student(spec, sharding, own, out);
    const int64_t rollouts = shape.rollouts / shape.learners + 1;
    add(out, "rollouts", static_cast<double>(rollouts * run.response_tokens) * kRolloutBytesPerToken);
  }
  add(out, "batch and angles", batch_bytes(shape) + rope_bytes(spec));
  return out;
}

std::vector<Consumer> worst_of_step(const Run& run, const StageShape& shape) {
  std::vector<Consumer> worst = passes(run, shape);
  const Pass validated = shape.pass_of({shape.validated}, shape.share(shape.validated));
  keep_larger(worst, {{"validation", forward_bytes(run.spec(), run.cuda(), validated)}});
  if (shape.rollouts > 0 || evaluates(run, shape))
    keep_larger(worst, generating(run, sharding_of(run, shape.learners), generation_of(run, shape)));
  return worst;
}

// Whether a background thread writes the checkpoints, from copies that it keeps for the next one.
bool has_copies(const Run& run) {
  return run.config.checkpoint.async || run.ranks > 1;
}

// A checkpoint and the file of it that is written or read. Without a background thread, only resuming needs it. On a
// GPU both are in the memory of the host.
std::vector<Consumer> checkpoint(const Run& run, const StageShape& shape) {
  if (run.cuda()) return {};
  const double bytes =
      checkpoint_bytes(run.spec(), sharding_of(run, shape.learners), shape.student_updates > 0, !has_copies(run));
  return {{"checkpoint", bytes}, {"a file of the checkpoint", checkpoint_file_bytes(bytes)}};
}

// The evaluation after the steps has an engine of its own, and the optimizer is gone. The copies of the checkpoint are
// still there.
std::vector<Consumer> evaluation(const Run& run, const StageShape& shape) {
  const ModelSpec spec = run.spec();
  const PlannedSharding sharding = sharding_of(run, shape.learners);
  std::vector<Consumer> out;
  for (const Consumer& consumer : state_bytes(spec, sharding, run.cuda()))
    if (consumer.name != kMoments) out.push_back(consumer);
  const Generation generation = evaluation_of(run, shape);
  append(out, engine_bytes(spec, generation, run.cuda()));
  add(out, "batch and angles", rope_bytes(spec));
  append(out, generating(run, sharding, generation));
  if (!run.cuda() && has_copies(run))
    add(out, "checkpoint", checkpoint_bytes(spec, sharding, shape.student_updates > 0, false));
  return out;
}

void add_program(const Run& run, std::vector<Consumer>& out) {
  add(out, run.cuda() ? "driver, libraries and fragments" : "the program", run.machine.reserved_gib * 0x1p30);
}

}  // namespace

std::vector<Consumer> step_memory(const Run& run, const StageShape& shape) {
  std::vector<Consumer> out = kept(run, shape);
  append(out, worst_of_step(run, shape));
  return out;
}

std::vector<Consumer> stage_memory(const Run& run, const StageShape& shape) {
  std::vector<Consumer> out = step_memory(run, shape);
  const std::vector<Consumer> saved = checkpoint(run, shape);
  const int64_t every = run.config.checkpoint.every;
  if (has_copies(run) && every > 0 && every < shape.steps) {
    append(out, saved);
  } else {
    std::vector<Consumer> saving = kept(run, shape);
    append(saving, saved);
    keep_larger(out, saving);
  }
  if (run.has_task()) keep_larger(out, evaluation(run, shape));
  add_program(run, out);
  return out;
}

std::vector<Consumer> sampler_memory(const Run& run, const StageShape& shape) {
  const ModelSpec spec = run.spec();
  const double whole = shard_elements(trained_sizes(spec), 1);
  const bool bf16 = rl::transfer_dtype(run.config.parallel, spec.bf16, run.cuda()) == torch::kBFloat16;
  std::vector<Consumer> out = {{"weights", (spec.bf16 ? 6 : 4) * whole}, {"incoming weights", (bf16 ? 2 : 4) * whole}};
  if (spec.has_adapters()) out.push_back({kFrozen, (spec.bf16 ? 2 : 4) * shard_elements(unit_sizes(spec), 1)});
  append(out, engine_bytes(spec, generation_of(run, shape), run.cuda()));
  add(out, "generating a token", decoding_bytes(spec, generation_of(run, shape), run.cuda()));
  add_program(run, out);
  return out;
}

std::vector<Consumer> start_memory(const Run& run) {
  const ModelSpec spec = run.spec();
  std::vector<Consumer> out;
  for (const Consumer& consumer : state_bytes(spec, sharding_of(run, run.learners()), run.cuda()))
    if (consumer.name != kMoments) out.push_back(consumer);
  if (!run.config.model.init.empty()) add(out, "a piece of a weight", kPieceBytes);
  add_program(run, out);
  return out;
}

}  // namespace terse::launch::plan
