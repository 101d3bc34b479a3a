// Compares the peak memory of the ranks in reinforcement learning with the plan. It covers rollouts, updates with
// rollouts of the longest length and with demonstrations, and the updates and the gate of a student. The models have
// 13 and 25 million parameters. The program runs as 1 and 4 ranks under mpirun. Rank 0 prints a table, and all ranks
// fail when one does.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "launch/plan/stage_memory.h"
#include "rl/compression/student.h"
#include "rl/rollout/rollout_worker.h"
#include "rl/rollout_source.h"
#include "rl/tasks/tokenized_task.h"
#include "rl/update/policy_update.h"
#include "tests/support/tensor_bytes.h"
#include "trainer/device.h"
#include "trainer/learners.h"

namespace terse::rl {
namespace {

trainer::World* world = nullptr;

struct Case {
  int64_t zero = 1;
  std::string penalty = "none";  // adaptive: with demonstrations and a student
  int64_t micro_batch = 0;
  int64_t layers = 8;
};

configs::RunConfig config_of(const Case& wanted) {
  configs::RunConfig config = default_config();
  config.stages = {"rl"};
  config.task.options.set("k_min", 2);
  config.task.options.set("k_max", 2);
  config.task.options.set("align_to", 2);
  config.model.layers = wanted.layers;
  config.model.hidden_size = 512;
  config.model.heads = 8;
  config.model.max_seq_len = 64;
  config.engine.max_batch = 16;
  config.rl.prompts = 4;
  config.rl.group_size = 4;
  config.rl.demonstrations = 4;
  config.rl.micro_batch = wanted.micro_batch;
  config.rl.penalty.kind = wanted.penalty;
  config.rl.student.updates = 1;
  config.rl.student.traces = 8;
  config.parallel.zero = wanted.zero;
  return config;
}

launch::plan::Run planned(const configs::RunConfig& config, const TokenizedTask& task) {
  launch::plan::Run run;
  run.config = config;
  run.machine = configs::load_hardware("laptop");
  run.ranks = run.ranks_per_node = world->place().ranks;
  run.vocab = task.tokenizer().vocab_size();
  run.prompt_tokens = task.max_prompt_tokens();
  run.response_tokens = *task.max_response_tokens();
  return run;
}

// Rollouts of the longest possible length, all of which train.
std::vector<RolloutGroup> longest_rollouts(const configs::RunConfig& config, const TokenizedTask& task) {
  std::vector<RolloutGroup> groups;
  for (int64_t p = 0; p < config.rl.prompts; ++p) {
    groups.push_back({task.problem(Split::kTrain, p, task.difficulties().back()), {}});
    for (int64_t sample = 0; sample < config.rl.group_size; ++sample) {
      Rollout rollout;
      const auto length = static_cast<size_t>(*task.max_response_tokens());
      rollout.sample = sample;
      rollout.tokens.assign(length, 1);
      rollout.logprobs.assign(length, -1);
      rollout.entropies.assign(length, 1);
      rollout.versions.assign(length, 0);
      rollout.advantage = sample % 2 == 0 ? 1 : -1;
      groups.back().rollouts.push_back(std::move(rollout));
    }
  }
  return groups;
}

// A controller that has seen enough rollouts of every difficulty to choose a shorter form.
CompressionController decided_controller(const TokenizedTask& task) {
  CompressionController controller(task);
  Rollout verbose;
  verbose.tokens.assign(static_cast<size_t>(*task.max_response_tokens()), 1);
  verbose.correct = true;
  std::vector<RolloutGroup> seen;
  for (const Difficulty& difficulty : task.difficulties())
    seen.push_back({task.problem(Split::kTrain, 0, difficulty), std::vector<Rollout>(64, verbose)});
  controller.observe(seen);
  return controller;
}

// The peak bytes of tensors on the rank that holds most.
double measure(const configs::RunConfig& config, const TokenizedTask& task, const trainer::ModelSpec& spec) {
  const trainer::Learners learners(config.parallel, *world, torch::kCPU);
  const std::vector<RolloutGroup> groups = longest_rollouts(config, task);
  std::vector<Problem> problems;
  for (const RolloutGroup& group : groups) problems.push_back(group.problem);
  CompressionController controller = decided_controller(task);
  std::vector<data::Sequence> demonstrations;
  if (config.rl.penalty.kind == "adaptive") {
    for (int64_t i = 0; i < config.rl.demonstrations; ++i)
      demonstrations.push_back(
          data::prompt_and_response(problems[0].prompt, controller.curriculum().trace(problems[0], 0)));
  }
  const support::CountTensorBytes count;
  trainer::Transformer model(spec, torch::kCPU, 1, learners.sharding());
  trainer::AdamW optimizer(model.params(), config.rl.optimizer);
  Engine engine(model, {config.engine.max_batch});
  Student student(config, task, model);
  // Runs two steps, so that the peak includes what stays allocated after the first one.
  for (int64_t step = 0; step < 2; ++step) {
    engine.refresh(step);
    roll_out(engine, task, problems, rollout_sampling(config, task));
    model.params().zero_grad();
    accumulate_update(model, groups, demonstrations,
                      {.loss = config.rl.loss,
                       .policy = {},
                       .transform = rollout_sampling(config, task).transform,
                       .limit = {config.rl.micro_batch},
                       .prompt_sharing = config.rl.prompt_sharing,
                       .demonstration_weight = config.rl.demonstration_weight});
    optimizer.step(1e-3);
    if (demonstrations.empty()) continue;
    for (int i = 0; i < (step == 0 ? 10 : 1); ++i) student.train(controller, 0);
    if (student.gate_due()) student.run_gate(controller);
    controller.promote(*controller.next_level());  // the next updates start with a new copy
  }
  const torch::Tensor peak = torch::full({1}, count.bytes().peak(), torch::kFloat64);
  world->group(torch::kCPU).all_reduce("peak", peak, trainer::Reduce::kMax).wait();
  return peak.item<double>();
}

void expect_planned(const Case& wanted) {
  configs::RunConfig config = config_of(wanted);
  const std::unique_ptr<TokenizedTask> task = open_task(config.task, config.run.seed);
  // The test counts what is allocated. The plan counts the keys and values that are used, so all of them are.
  config.model.max_seq_len = task->max_prompt_tokens() + *task->max_response_tokens();
  const launch::plan::Run run = planned(config, *task);
  const launch::plan::StageShape shape = launch::plan::shape_of(run, "rl");
  const std::vector<launch::plan::Consumer> consumers = launch::plan::step_memory(run, shape);
  const double plan = launch::plan::total_bytes(consumers), used = measure(config, *task, run.spec());
  const std::string name = fmt::format("{}, {} ranks, ZeRO-{}, {} sequences a pass", wanted.penalty, run.ranks,
                                       wanted.zero, shape.micro_batch);
  EXPECT_NEAR(plan / used, 1, 0.1) << name;
  if (world->place().rank > 0) return;
  fmt::print("{:<50} peak {:7.1f}, planned {:7.1f} MiB ({:.3f})\n", name, used / 0x1p20, plan / 0x1p20, plan / used);
  for (const auto& consumer : consumers) fmt::print("    {:<40} {:6.1f}\n", consumer.name, consumer.bytes / 0x1p20);
}

// A single process has only ZeRO stage 1.
int64_t stage(int64_t wanted) {
  return world->place().ranks == 1 ? 1 : wanted;
}

TEST(MemoryOfRlRanks, IsWhatIsPlanned) {
  expect_planned({.zero = stage(1)});
  if (world->place().ranks > 1) expect_planned({.zero = 3});
}

TEST(MemoryOfRlRanks, OfSeveralPassesIsWhatIsPlanned) {
  expect_planned({.zero = stage(2), .micro_batch = 2, .layers = 4});
}

TEST(MemoryOfRlRanks, WithAStudentIsWhatIsPlanned) {
  expect_planned({.zero = stage(3), .penalty = "adaptive", .layers = 4});
}

}  // namespace
}  // namespace terse::rl

int main(int argc, char** argv) {
  using namespace terse::rl;
  testing::InitGoogleTest(&argc, argv);
  const auto here = terse::trainer::World::start({.deadline = 60});
  world = here.get();
  terse::trainer::set_threads(1);
  torch::Tensor failed = torch::full({1}, RUN_ALL_TESTS(), torch::kInt32);
  world->group(torch::kCPU).all_reduce("failed", failed, terse::trainer::Reduce::kMax).wait();
  return failed.item<int32_t>();
}
