// Complete plans: parts add up, quantities grow and shrink as they should, and advice is true.
#include "launch/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "launch/plan/advice.h"
#include "trainer/speed/flops.h"

namespace terse::launch::plan {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Llama 3.1 8B as published, 2 sequences of 8,192 tokens a GPU.
Run llama(int64_t ranks) {
  Run run;
  run.config.stages = {"pretrain"};
  configs::Model& model = run.config.model;
  model.layers = 32;
  model.hidden_size = 4096;
  model.heads = 32;
  model.kv_heads = 8;
  model.intermediate_size = 14336;
  model.max_seq_len = 8192;
  model.tie_embeddings = false;
  model.precision = "bf16";
  run.config.parallel.zero = 3;
  run.config.pretrain.batch_size = 2 * ranks;
  run.config.pretrain.micro_batch = 1;
  run.vocab = 128256;
  run.machine = configs::load_hardware("h100");
  run.ranks = ranks;
  run.ranks_per_node = 8;
  return run;
}

Run quickstart(int64_t ranks) {
  Run run;
  run.config.stages = {"sft", "rl", "eval"};
  run.vocab = 40;
  run.prompt_tokens = 40;
  run.response_tokens = 60;
  run.machine = configs::load_hardware("laptop");
  run.ranks = ranks;
  run.ranks_per_node = 2;
  return run;
}

TEST(Plan, EveryTrainingStageHasOne) {
  const auto plans = make_plan(quickstart(1));
  ASSERT_EQ(plans.size(), 2u);
  EXPECT_EQ(plans[0].stage, "sft");
  EXPECT_EQ(plans[1].stage, "rl");
  for (const StagePlan& plan : plans) {
    EXPECT_TRUE(plan.fits());
    EXPECT_GT(plan.seconds(), 0);
    EXPECT_DOUBLE_EQ(plan.seconds(), plan.generation + plan.learning());
  }
  EXPECT_EQ(plans[0].generation, 0);
  EXPECT_GT(plans[1].generation, 0);
}

TEST(Plan, RolloutsDemonstrationsAndTheStudentTakePassesOfTheirOwn) {
  const auto planned = [](int64_t demonstrations, int64_t traces) {
    auto run = quickstart(2);
    run.config.rl.prompt_sharing = 1;  // so that a rollout and a demonstration have equally many rows
    run.config.rl.prompts = 4;
    run.config.rl.group_size = 8;
    run.config.engine.max_batch = 8;  // so that passes need most, and not the evaluation after the stage
    run.config.rl.demonstrations = demonstrations;
    run.config.rl.student.traces = traces;
    return plan_stage(run, "rl");
  };
  const StagePlan plan = planned(0, 4);
  EXPECT_EQ(plan.micro_batch, 16);
  EXPECT_EQ(planned(32, 32).micro_batch, 16);
  EXPECT_EQ(planned(32, 32).bytes(), plan.bytes());
  EXPECT_EQ(planned(32, 64).micro_batch, 32);
  EXPECT_GT(planned(32, 64).bytes(), plan.bytes());
  EXPECT_EQ(planned(64, 32).bytes(), planned(32, 64).bytes());
}

TEST(Plan, RolloutsThatShareAPromptPassTogetherAndTakeLess) {
  const auto planned = [](int64_t sharing, int64_t micro_batch) {
    auto run = quickstart(1);
    run.config.rl.prompts = 4;
    run.config.rl.group_size = 12;
    run.config.rl.micro_batch = micro_batch;
    run.config.rl.penalty.kind = "none";
    run.config.engine.max_batch = 1;
    run.prompt_tokens = 100;
    run.config.rl.prompt_sharing = sharing;
    return plan_stage(run, "rl");
  };
  EXPECT_LT(planned(12, 0).bytes(), planned(1, 0).bytes());
  EXPECT_LT(planned(12, 0).update.compute, planned(1, 0).update.compute);
  EXPECT_EQ(planned(8, 1).micro_batch, 6) << "a group of 12 is split into equal parts";
  EXPECT_EQ(planned(8, 13).micro_batch, 12);
  EXPECT_EQ(planned(1, 13).micro_batch, 13);
}

TEST(Plan, MicroTokensLimitAPass) {
  auto run = quickstart(1);
  run.config.pretrain.batch_size = 64;
  run.config.pretrain.seq_len = 100;
  run.config.pretrain.micro_tokens = 799;
  EXPECT_EQ(plan_stage(run, "pretrain").micro_batch, 7);
  run.config.pretrain.micro_tokens = 99;
  EXPECT_EQ(plan_stage(run, "pretrain").micro_batch, 1);
}

TEST(Plan, OneRankSendsNothing) {
  for (const StagePlan& plan : make_plan(quickstart(1))) {
    EXPECT_EQ(plan.volume().node + plan.volume().network, 0);
    EXPECT_EQ(plan.communication_share(), 0);
  }
}

TEST(Plan, TheLargestMicroBatchFitsAndOneMoreDoesNot) {
  auto run = llama(64);
  run.config.model.activation_checkpointing = true;
  const int64_t most = plan_stage(run, "pretrain").largest_micro_batch;
  ASSERT_GT(most, 0);
  run.config.pretrain.batch_size = 64 * (most + 1);
  run.config.pretrain.micro_batch = most;
  EXPECT_TRUE(plan_stage(run, "pretrain").fits());
  run.config.pretrain.micro_batch = most + 1;
  EXPECT_FALSE(plan_stage(run, "pretrain").fits());
}

TEST(Plan, TheLargestBatchOfTheEngineFitsAndOneMoreDoesNot) {
  auto run = quickstart(1);
  run.config.eval.problems_per_difficulty = 10'000'000;  // as many sequences as there may be
  run.config.engine.max_batch = plan_stage(run, "rl").largest_max_batch;
  ASSERT_GT(run.config.engine.max_batch, 0);
  EXPECT_TRUE(plan_stage(run, "rl").fits());
  run.config.engine.max_batch += 1;
  EXPECT_FALSE(plan_stage(run, "rl").fits());
}

TEST(Plan, PublishedMemoryOfAShardedRunIsNear) {
  // Whatever the activations, 8B parameters on 8 GPUs need 16 bytes a parameter in total. Masters and moments are 12 of
  // them.
  const StagePlan plan = plan_stage(llama(8), "pretrain");
  double states = 0;
  for (const Consumer& consumer : plan.memory)
    if (consumer.name == "fp32 masters" || consumer.name == "AdamW moments") states += consumer.bytes;
  EXPECT_NEAR(states, 12 * 8.03e9 / 8, 0.01e9 * 12);
}

TEST(Plan, ComputingIsFlopsOverWhatTheMachineReaches) {
  // One rank: 2 sequences, 6 N with N the weights that multiply, and attention, at 45 % of 989 TFLOP/s.
  auto run = llama(1);
  const double flops = 2 * 8192.0 * trainer::training_flops(run.spec(), trainer::one_token(8192));
  EXPECT_NEAR(plan_stage(run, "pretrain").update.compute, flops / (0.45 * 989e12), 1e-9);
  run.config.model.activation_checkpointing = true;
  EXPECT_NEAR(plan_stage(run, "pretrain").update.compute, 4.0 / 3 * flops / (0.45 * 989e12), 1e-9);
}

TEST(Plan, HierarchicalSendsLessToOtherNodes) {
  auto run = llama(64);
  const double flat = plan_stage(run, "pretrain").volume().network;
  run.config.parallel.hierarchical = true;
  EXPECT_LT(plan_stage(run, "pretrain").volume().network, flat / 2);
}

TEST(Advice, NothingToSayWhereAllIsWell) {
  const auto run = quickstart(1);
  EXPECT_THAT(warnings(run, make_plan(run)), IsEmpty());
}

TEST(Advice, NamesTheConsumersAndOptionsThatMakeItFit) {
  auto run = llama(64);
  run.config.parallel.zero = 2;  // ZeRO-3 would imply activation checkpointing
  run.config.pretrain.micro_batch = 2;
  const auto said = warnings(run, make_plan(run));
  ASSERT_EQ(said.size(), 1u);
  EXPECT_THAT(said[0], AllOf(HasSubstr("pretrain does not fit"), HasSubstr("most of it is for activations"),
                             HasSubstr("it fits with pretrain.micro_batch=1"),
                             HasSubstr("or model.activation_checkpointing=true")));
  // Both options really make it fit.
  run.config.model.activation_checkpointing = true;
  EXPECT_TRUE(plan_stage(run, "pretrain").fits());
  run.config.model.activation_checkpointing = false;
  run.config.pretrain.micro_batch = 1;
  EXPECT_TRUE(plan_stage(run, "pretrain").fits());
}

TEST(Advice, SeveralOptionsTogetherWhereNoneIsEnough) {
  auto run = llama(8);
  run.config.pretrain.batch_size = 32;
  run.config.pretrain.micro_batch = 4;
  run.config.parallel.zero = 1;
  EXPECT_THAT(warnings(run, make_plan(run)), Contains(HasSubstr("pretrain.micro_batch=1, parallel.zero=3 together")));
}

TEST(Advice, SaysSoWhenNoOptionHelps) {
  auto run = llama(1);
  run.config.model.layers = 320;
  EXPECT_THAT(warnings(run, make_plan(run)), Contains(HasSubstr("no option makes it fit: use more ranks")));
}

TEST(Advice, WaitingForTheNetworkNamesWhatLowersIt) {
  auto run = llama(64);
  run.machine.network.gbps = 2;
  run.config.model.activation_checkpointing = true;
  const auto said = warnings(run, make_plan(run));
  EXPECT_THAT(said, Contains(AllOf(HasSubstr("waits for communication"), HasSubstr("parallel.hierarchical=true"))));
}

TEST(Advice, RanksWithoutWork) {
  auto run = quickstart(2);
  run.config.stages = {"sft"};
  run.config.sft.batch_size = 1;
  EXPECT_THAT(warnings(run, make_plan(run)), Contains(HasSubstr("1 of these ranks have no work")));
  run.config.sft.batch_size = 5;
  EXPECT_THAT(warnings(run, make_plan(run)), Contains(HasSubstr("do not divide evenly over 2 ranks")));
  run.ranks = 3;
  EXPECT_THAT(warnings(run, make_plan(run)), Contains(HasSubstr("do not fill nodes of 2")));
}

}  // namespace
}  // namespace terse::launch::plan
