// The moments of a stage: which one counts, and what each one holds.
#include "launch/plan/stage_memory.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace terse::launch::plan {
namespace {

double bytes_of(const std::vector<Consumer>& consumers, const std::string& name) {
  const auto found =
      std::find_if(consumers.begin(), consumers.end(), [&](const Consumer& c) { return c.name == name; });
  return found == consumers.end() ? 0 : found->bytes;
}

// The states of a wide model with short texts take more than its passes.
Run wide() {
  Run run;
  run.config.model.layers = 2;
  run.config.model.hidden_size = 256;
  run.config.model.heads = 4;
  run.config.sft.steps = run.config.rl.steps = 10;
  run.config.sft.batch_size = run.config.rl.prompts = run.config.rl.group_size = 2;
  run.config.rl.penalty.kind = "none";
  run.config.engine.max_batch = 8;
  run.config.eval.problems_per_difficulty = 4;
  run.config.eval.samples = 1;
  run.vocab = 300;
  run.prompt_tokens = run.response_tokens = 4;
  run.machine = configs::load_hardware("laptop");
  return run;
}

std::vector<Consumer> memory_of(const Run& run, const std::string& stage) {
  return stage_memory(run, shape_of(run, stage));
}

TEST(PlanStageMemory, HasTheProgramItself) {
  auto run = wide();
  const double with = total_bytes(memory_of(run, "sft"));
  EXPECT_EQ(bytes_of(memory_of(run, "sft"), "the program"), run.machine.reserved_gib * 0x1p30);
  run.machine.reserved_gib = 0;
  EXPECT_EQ(with - total_bytes(memory_of(run, "sft")), wide().machine.reserved_gib * 0x1p30);
}

TEST(PlanStageMemory, TheLastCheckpointComesAfterThePasses) {
  const auto run = wide();
  const double copy = checkpoint_bytes(run.spec(), {}, false);
  for (const char* stage : {"sft", "rl"}) {
    const std::vector<Consumer> memory = memory_of(run, stage);
    EXPECT_EQ(bytes_of(memory, "checkpoint"), copy);
    EXPECT_EQ(bytes_of(memory, "a file of the checkpoint"), copy);
    EXPECT_EQ(bytes_of(memory, "activations"), 0);
  }
}

TEST(PlanStageMemory, ACheckpointInTheBackgroundComesOnTopOfThePasses) {
  auto run = wide();
  run.config.checkpoint.every = 5;
  std::vector<Consumer> memory = memory_of(run, "sft");
  EXPECT_GT(bytes_of(memory, "activations"), 0);
  EXPECT_EQ(total_bytes(memory), total_bytes(step_memory(run, shape_of(run, "sft"))) +
                                     2 * checkpoint_bytes(run.spec(), {}, false) + run.machine.reserved_gib * 0x1p30);
  run.config.checkpoint.async = false;
  memory = memory_of(run, "sft");
  EXPECT_EQ(bytes_of(memory, "activations"), 0);
  EXPECT_EQ(bytes_of(memory, "checkpoint"), checkpoint_bytes(run.spec(), {}, false, true));
}

TEST(PlanStageMemory, AGpuHasNoCheckpointInItsMemory) {
  auto run = wide();
  run.config.checkpoint.every = 5;
  run.machine = configs::load_hardware("h100");
  EXPECT_EQ(bytes_of(memory_of(run, "sft"), "checkpoint"), 0);
}

// With LoRA, the copy of the weights that decodes, with keys and values, takes more than training.
TEST(PlanStageMemory, TheEvaluationAfterTheStepsMayNeedMost) {
  auto run = wide();
  run.config.engine.max_batch = run.config.eval.problems_per_difficulty = 64;
  run.config.lora.rank = 2;
  const std::vector<Consumer> memory = memory_of(run, "sft");
  EXPECT_GT(bytes_of(memory, "weights to decode with"), 0);
  EXPECT_GT(bytes_of(memory, "generating a token"), 0);
  EXPECT_EQ(bytes_of(memory, kMoments), 0);
  EXPECT_EQ(bytes_of(memory, "checkpoint"), checkpoint_bytes(run.spec(), {}, false)) << "copied for the next save";
  run.config.checkpoint.async = false;
  EXPECT_EQ(bytes_of(memory_of(run, "sft"), "checkpoint"), 0);
  run.prompt_tokens = 0;  // conversations, without a task
  EXPECT_EQ(bytes_of(memory_of(run, "sft"), "weights to decode with"), 0);
}

TEST(PlanStageMemory, EvaluationsBetweenStepsKeepTheirEngine) {
  auto run = wide();
  const auto engine = [&] { return bytes_of(step_memory(run, shape_of(run, "sft")), "weights to decode with"); };
  EXPECT_EQ(engine(), 0);
  run.config.sft.eval_every = 10;  // the last step is evaluated after the stage
  EXPECT_EQ(engine(), 0);
  run.config.sft.eval_every = 5;
  EXPECT_GT(engine(), 0);
}

TEST(PlanStageMemory, DemonstrationsMayBeLongerThanResponses) {
  auto run = wide();
  run.trace_tokens = 100;
  EXPECT_EQ(shape_of(run, "sft").sequence_tokens, 104);
  EXPECT_EQ(shape_of(run, "sft").loss_rows, 100);
  EXPECT_EQ(shape_of(run, "rl").sequence_tokens, 8);
  run.config.rl.penalty.kind = "adaptive";
  EXPECT_EQ(shape_of(run, "rl").sequence_tokens, 104);
}

TEST(PlanStageMemory, EvaluationsUseAsManySlotsAsTheyHaveRequests) {
  auto run = wide();
  run.difficulties = 3;
  EXPECT_EQ(evaluation_of(run, shape_of(run, "rl")).requests, 12);
  EXPECT_EQ(generation_of(run, shape_of(run, "rl")).requests, 4);  // two responses to each of two prompts
  EXPECT_EQ(generation_of(run, shape_of(run, "rl")).prompts, 2);
  run.config.rl.eval_every = 5;
  run.config.eval.quick_problems_per_difficulty = 2;
  EXPECT_EQ(generation_of(run, shape_of(run, "rl")).requests, 6);
}

// All sequences of a validation run at once, whatever the micro-batch is. A row has 3 (D + F), in fp32.
TEST(PlanStageMemory, ValidationTakesNoMicroBatches) {
  auto run = wide();
  run.config.pretrain.batch_size = 4000;
  run.config.pretrain.micro_batch = 1;
  run.config.pretrain.seq_len = 10;
  const std::vector<Consumer> memory = step_memory(run, shape_of(run, "pretrain"));
  EXPECT_EQ(bytes_of(memory, "validation"), 40'000.0 * 4 * 3 * static_cast<double>(256 + run.spec().intermediate_size));
  run.config.sft.train = "chats.jsonl";
  EXPECT_EQ(shape_of(run, "sft").validated, 2);
  run.config.sft.batch_size = 100;
  EXPECT_EQ(shape_of(run, "sft").validated, 16);
}

TEST(PlanStageMemory, TheStartHasNoMomentsYet) {
  auto run = wide();
  const double random = total_bytes(start_memory(run));
  EXPECT_EQ(random, total_bytes(state_bytes(run.spec(), {}, false)) -
                        bytes_of(state_bytes(run.spec(), {}, false), kMoments) + run.machine.reserved_gib * 0x1p30);
  run.config.model.init = "model";
  EXPECT_GT(total_bytes(start_memory(run)), random);
}

}  // namespace
}  // namespace terse::launch::plan
