// Combines the shape of a stage, its memory and its time into one plan.
#include "launch/plan/plan.h"

#include <algorithm>
#include <cmath>

#include "launch/plan/stage_shape.h"
#include "rl/async/weight_sync.h"

namespace terse::launch::plan {

namespace {

// LibTorch operations per block: in a forward and backward pass, and to decode one token.
constexpr double kOperationsOfAPass = 35;
constexpr double kOperationsOfAToken = 20;
// Token, target and position as int64, weight as fp32 (data::Batch).
constexpr double kBatchBytesPerToken = 3 * 8 + 4;
// Token, log-prob and entropy of a rollout (rl::Rollout).
constexpr double kRolloutBytesPerToken = 3 * 4;

PlannedSharding sharding_of(const Run& run, const StageShape& shape) {
  const configs::Parallel& parallel = run.config.parallel;
  return {shape.learners, run.ranks_per_node, parallel.zero, parallel.hierarchical};
}

Generation generation_of(const Run& run, const StageShape& shape) {
  return {run.config.engine.max_batch, run.prompt_tokens, (shape.rollouts + shape.generators - 1) / shape.generators};
}

double batch_bytes(const StageShape& shape) {
  return static_cast<double>(shape.largest_share() * shape.sequence_tokens) * kBatchBytesPerToken;
}

// Adds the memory of the student: it is a second model that learns and generates beside the policy, and has an
// average of its weights. It shares the frozen weights of the policy.
void add_student(const ModelSpec& spec, const PlannedSharding& sharding, const std::vector<Consumer>& own,
                 std::vector<Consumer>& out) {
  double bytes = 4 * shard_elements(trained_sizes(spec), sharding.shard().ranks);
  for (const Consumer& consumer : own) bytes += consumer.name == kFrozen ? 0 : consumer.bytes;
  out.push_back({"the student in total", bytes});
}

// Returns the consumers at the moment of a step that needs most memory beside the permanent state: in the head, in a
// block's backward pass, or while generating.
std::vector<Consumer> worst_moment(const Run& run, const StageShape& shape) {
  const ModelSpec spec = run.spec();
  const PlannedSharding sharding = sharding_of(run, shape);
  const bool cuda = run.cuda();
  std::vector<Consumer> worst;
  for (const int64_t batch : shape.batches) {
    const int64_t most = std::min(shape.micro_batch, shape.share(batch));
    for (const PassLoad& load : pass_loads(spec, sharding, cuda, batch, most)) {
      const Pass pass = shape.pass_of(load.sequences);
      for (const Moment moment : {Moment::kHead, Moment::kBlock}) {
        std::vector<Consumer> all = unit_bytes(spec, sharding, cuda, moment);
        all.push_back({"gradients waiting to be summed", load.waiting_bytes});
        all.push_back({"activations", activation_bytes(spec, cuda, pass)});
        all.push_back({cuda ? "logits and workspace" : "workspace", workspace_bytes(spec, cuda, pass, moment)});
        if (total_bytes(all) > total_bytes(worst)) worst = all;
      }
    }
  }
  if (shape.rollouts == 0) return worst;
  double generating = decoding_bytes(spec, generation_of(run, shape), cuda);
  // Generation needs complete weights, so sharded ones are gathered.
  if (sharding.zero == 3 && sharding.ranks > 1) {
    generating += (spec.bf16 ? 2 : 4) * shard_elements(trained_sizes(spec), 1);
  }
  if (generating > total_bytes(worst)) worst = {{"generating a token", generating}};
  return worst;
}

std::vector<Consumer> memory_of(const Run& run, const StageShape& shape) {
  const ModelSpec spec = run.spec();
  const PlannedSharding sharding = sharding_of(run, shape);
  std::vector<Consumer> out = state_bytes(spec, sharding, run.cuda());
  if (shape.rollouts > 0) {
    const Generation generation = generation_of(run, shape);
    for (const Consumer& consumer : engine_bytes(spec, generation, run.cuda())) out.push_back(consumer);
    const std::vector<Consumer> own = out;
    if (shape.student_updates > 0) add_student(spec, sharding, own, out);
    const int64_t rollouts = shape.rollouts / shape.learners + 1;
    out.push_back({"rollouts", static_cast<double>(rollouts * run.response_tokens) * kRolloutBytesPerToken});
  }
  const double rope = static_cast<double>(spec.max_seq_len * spec.head_dim) * 4;
  out.push_back({"batch and angles", batch_bytes(shape) + rope});
  for (const Consumer& consumer : worst_moment(run, shape))
    if (consumer.bytes > 0) out.push_back(consumer);
  return out;
}

// The memory of a rank that only generates: its weights, new weights that arrive meanwhile, and the engine.
std::vector<Consumer> sampler_memory(const Run& run, const StageShape& shape) {
  const ModelSpec spec = run.spec();
  const double whole = shard_elements(trained_sizes(spec), 1);
  const bool bf16 = rl::transfer_dtype(run.config.parallel, spec.bf16, run.cuda()) == torch::kBFloat16;
  std::vector<Consumer> out = {{"weights", (spec.bf16 ? 6 : 4) * whole}, {"incoming weights", (bf16 ? 2 : 4) * whole}};
  if (spec.has_adapters()) out.push_back({kFrozen, (spec.bf16 ? 2 : 4) * shard_elements(unit_sizes(spec), 1)});
  for (const Consumer& consumer : engine_bytes(spec, generation_of(run, shape), run.cuda())) out.push_back(consumer);
  out.push_back({"generating a token", decoding_bytes(spec, generation_of(run, shape), run.cuda())});
  return out;
}

double peak_flops(const Run& run) {
  return (run.spec().bf16 ? run.machine.tflops_bf16 : run.machine.tflops_fp32) * 1e12 * run.machine.train_efficiency;
}

// The time that the host needs to start the operations of all blocks. It limits the speed of small models.
double block_operations_seconds(const Run& run, double operations) {
  return operations * static_cast<double>(run.config.model.layers) * run.machine.operation_us * 1e-6;
}

StepTime update_time(const Run& run, const StageShape& shape, int64_t own_sequences) {
  const ModelSpec spec = run.spec();
  const double length = static_cast<double>(shape.sequence_tokens);
  // Recomputation is a second forward pass: 8 operations a weight and token instead of 6.
  const double again = spec.activation_checkpointing ? 4.0 / 3 : 1;
  const double tokens = static_cast<double>(own_sequences) * length;
  StepWork work;
  work.units = trained_sizes(spec);
  work.sharding = sharding_of(run, shape);
  work.micro_batches = (own_sequences + shape.micro_batch - 1) / shape.micro_batch;
  const double operations = kOperationsOfAPass * again * static_cast<double>(work.micro_batches);
  work.compute_seconds = std::max(tokens * flops_per_token(spec, length) * again / peak_flops(run),
                                  block_operations_seconds(run, operations));
  work.forward_share = spec.activation_checkpointing ? 1.0 / 4 : 1.0 / 3;
  work.gather_bytes = spec.bf16 ? 2 : 4;
  return step_time(run.machine, work);
}

// The seconds that the rollouts of one step take. For each token, decoding reads all weights and the live keys and
// values, computes, and waits for the host; the slowest of the three counts. The prompts are one forward pass.
double generation_seconds(const Run& run, const StageShape& shape) {
  const ModelSpec spec = run.spec();
  const double w = spec.bf16 ? 2 : 4;
  double parameters = shard_elements(unit_sizes(spec), 1);
  if (spec.has_adapters()) parameters += shard_elements(trained_sizes(spec), 1);
  const Generation generation = generation_of(run, shape);
  const double batch = static_cast<double>(std::min(generation.slots, generation.requests));
  const double waves = std::ceil(static_cast<double>(generation.requests) / batch);
  const double context = static_cast<double>(run.prompt_tokens) + static_cast<double>(run.response_tokens) / 2;
  const double cached = 2 * w * static_cast<double>(spec.kv_heads * spec.head_dim * spec.layers) * context * batch;
  const double forward_flops = forward_flops_per_token(spec, context);
  const double bandwidth = run.machine.memory_gbps * 1e9 * run.machine.decode_efficiency;
  const double token = std::max({(w * parameters + cached) / bandwidth, forward_flops * batch / peak_flops(run),
                                 block_operations_seconds(run, kOperationsOfAToken)});
  const double prompts = static_cast<double>(generation.requests * run.prompt_tokens) /
                         static_cast<double>(run.config.rl.group_size);  // one pass for the whole group
  return waves * static_cast<double>(run.response_tokens) * token + prompts * forward_flops / peak_flops(run);
}

// Binary search for the largest number up to `most` for which `fits` holds; 0 when it does not hold for 1. `fits` must
// be monotone: once false, it stays false for larger numbers.
template <class Fits>
int64_t largest(int64_t most, const Fits& fits) {
  int64_t low = 0, high = most;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

constexpr int64_t kMostSequences = 1 << 20;

int64_t largest_micro_batch(const Run& run, const StageShape& shape) {
  return largest(kMostSequences, [&](int64_t sequences) {
    StageShape other = shape;
    other.micro_batch = sequences;
    for (int64_t& batch : other.batches) batch = std::max(batch, sequences * shape.learners);
    return total_bytes(memory_of(run, other)) <= run.limit_bytes();
  });
}

int64_t largest_slots(Run run, const StageShape& shape) {
  return largest(kMostSequences, [&](int64_t slots) {
    run.config.engine.max_batch = slots;
    return total_bytes(memory_of(run, shape)) <= run.limit_bytes();
  });
}

// Averages the stage's own updates and the student's, whose batch has another size.
void add_updates(StagePlan& plan, const StepTime& more, int64_t count) {
  const double all = static_cast<double>(plan.updates + count);
  const double old = static_cast<double>(plan.updates) / all, fresh = static_cast<double>(count) / all;
  StepTime& mean = plan.update;
  mean.compute = mean.compute * old + more.compute * fresh;
  mean.exposed = mean.exposed * old + more.exposed * fresh;
  mean.optimizer = mean.optimizer * old + more.optimizer * fresh;
  mean.slowest_rank = mean.slowest_rank * old + more.slowest_rank * fresh;
  mean.communication = mean.communication * old + more.communication * fresh;
  mean.volume = {mean.volume.node * old + more.volume.node * fresh,
                 mean.volume.network * old + more.volume.network * fresh};
  plan.updates += count;
}

}  // namespace

Volume StagePlan::volume() const {
  return {update.volume.node * static_cast<double>(updates), update.volume.network * static_cast<double>(updates)};
}

StagePlan plan_stage(const Run& run, const std::string& stage) {
  const StageShape shape = shape_of(run, stage);
  StagePlan plan;
  plan.stage = stage;
  plan.memory = memory_of(run, shape);
  plan.limit_bytes = run.limit_bytes();
  plan.update = update_time(run, shape, shape.own_sequences);
  plan.updates = shape.updates;
  plan.learners = shape.learners;
  plan.sequences = shape.sequences;
  plan.micro_batch = shape.micro_batch;
  plan.micro_batches = shape.passes();
  plan.largest_micro_batch = largest_micro_batch(run, shape);
  plan.tokens = static_cast<double>(shape.sequences * shape.sequence_tokens);
  if (shape.rollouts == 0) return plan;
  plan.largest_slots = largest_slots(run, shape);
  plan.tokens = static_cast<double>(shape.rollouts * run.response_tokens);
  plan.generation = generation_seconds(run, shape);
  if (run.splits()) plan.sampler_memory = sampler_memory(run, shape);
  if (shape.student_updates > 0) {
    const StepTime student = update_time(run, shape, shape.share(shape.student_sequences));
    add_updates(plan, student, shape.student_updates);
  }
  if (run.config.rl.max_staleness > 0) plan.overlap = std::min(plan.generation, plan.learning());
  return plan;
}

std::vector<StagePlan> make_plan(const Run& run) {
  std::vector<StagePlan> plans;
  for (const std::string& stage : run.config.stages) {
    if (stage != "eval") plans.push_back(plan_stage(run, stage));
  }
  return plans;
}

}  // namespace terse::launch::plan
