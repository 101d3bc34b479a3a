// Combines the shape of a stage, its memory (stage_memory.h) and its time into one plan.
#include "launch/plan/plan.h"

#include <algorithm>
#include <cmath>

#include "launch/plan/stage_memory.h"
#include "rl/engine/decoder.h"
#include "rl/tasks/limits.h"
#include "trainer/speed/flops.h"

namespace terse::launch::plan {

namespace {

// LibTorch operations per block: in a forward and backward pass, and to decode one token.
constexpr double kOperationsOfAPass = 35;
constexpr double kOperationsOfAToken = 20;

double peak_flops(const Run& run) {
  return (run.spec().bf16 ? run.machine.tflops_bf16 : run.machine.tflops_fp32) * 1e12 * run.machine.train_efficiency;
}

// The time that the host needs to start the operations of all blocks. It limits the speed of small models.
double block_operations_seconds(const Run& run, double operations) {
  return operations * static_cast<double>(run.config.model.layers) * run.machine.operation_us * 1e-6;
}

// The time of an update in which this rank computes `own_sequences`, which have `tokens`.
StepTime update_time(const Run& run, const StageShape& shape, int64_t own_sequences, int64_t tokens) {
  const ModelSpec spec = run.spec();
  const double length = static_cast<double>(shape.sequence_tokens);
  // Recomputation is a second forward pass: 8 operations a weight and token instead of 6.
  const double again = spec.activation_checkpointing ? 4.0 / 3 : 1;
  StepWork work;
  work.units = trained_sizes(spec);
  work.sharding = sharding_of(run, shape.learners);
  work.micro_batches = (own_sequences + shape.micro_batch - 1) / shape.micro_batch;
  const double operations = kOperationsOfAPass * again * static_cast<double>(work.micro_batches);
  work.compute_seconds =
      std::max(static_cast<double>(tokens) * training_flops(spec, trainer::one_token(length)) * again / peak_flops(run),
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
  const int64_t requests = (shape.rollouts + shape.generators - 1) / shape.generators;
  const double batch = static_cast<double>(std::min(run.config.engine.max_batch, requests));
  const double waves = std::ceil(static_cast<double>(requests) / batch);
  const double context = static_cast<double>(run.prompt_tokens) + static_cast<double>(run.response_tokens) / 2;
  const double page = static_cast<double>(rl::page_bytes(spec, run.cuda()));
  const double cached = page / rl::kPageTokens * context * batch;
  const double token_flops = trainer::forward_flops(spec, trainer::one_token(context));
  const double bandwidth = run.machine.memory_gbps * 1e9 * run.machine.decode_efficiency;
  const double token = std::max({(w * parameters + cached) / bandwidth, token_flops * batch / peak_flops(run),
                                 block_operations_seconds(run, kOperationsOfAToken)});
  const double prompts = static_cast<double>(requests * run.prompt_tokens) /
                         static_cast<double>(run.config.rl.group_size);  // one pass for the whole group
  return waves * static_cast<double>(run.response_tokens) * token + prompts * token_flops / peak_flops(run);
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
    other.limit = {.micro_batch = sequences};
    for (PlannedBatch& batch : other.batches) batch.items = std::max(batch.items, sequences * shape.learners);
    return total_bytes(stage_memory(run, other)) <= run.limit_bytes();
  });
}

int64_t largest_max_batch(Run run, const StageShape& shape) {
  return largest(kMostSequences, [&](int64_t sequences) {
    run.config.engine.max_batch = sequences;
    return total_bytes(stage_memory(run, shape)) <= run.limit_bytes();
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

void describe_task(Run& run, const rl::TokenizedTask& task) {
  run.vocab = std::max(run.vocab, task.tokenizer().vocab_size());
  run.prompt_tokens = task.max_prompt_tokens();
  run.response_tokens = rl::response_limit(run.config, task);
  for (const std::string& form : task.forms())
    run.trace_tokens = std::max(run.trace_tokens, task.max_trace_tokens(form));
  run.difficulties = std::max<int64_t>(1, std::ssize(task.difficulties()));
}

StagePlan plan_stage(const Run& run, const std::string& stage) {
  const StageShape shape = shape_of(run, stage);
  StagePlan plan;
  plan.stage = stage;
  plan.memory = stage_memory(run, shape);
  plan.limit_bytes = run.limit_bytes();
  const PlannedBatch& first = shape.batches.front();
  const int64_t others = shape.share(shape.sequences - first.items);  // demonstrations, which do not share prompts
  plan.update = update_time(run, shape, shape.own_sequences,
                            shape.pass_of(first, shape.share(first.items)).tokens + others * shape.sequence_tokens);
  plan.updates = shape.updates;
  plan.learners = shape.learners;
  plan.sequences = shape.sequences;
  plan.micro_batch = shape.micro_batch;
  plan.micro_batches = shape.passes();
  plan.largest_micro_batch = largest_micro_batch(run, shape);
  plan.tokens = static_cast<double>(shape.sequences * shape.sequence_tokens);
  if (shape.rollouts == 0) return plan;
  plan.largest_max_batch = largest_max_batch(run, shape);
  plan.tokens = static_cast<double>(shape.rollouts * run.response_tokens);
  plan.generation = generation_seconds(run, shape);
  if (run.splits()) plan.sampler_memory = sampler_memory(run, shape);
  if (shape.student_updates > 0) {
    const int64_t traces = shape.share(shape.student_sequences);
    const StepTime student = update_time(run, shape, traces, traces * shape.sequence_tokens);
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
