// Tests that the apprentice leaves the policy unchanged until it passes an exam, and that the policy then takes its
// weights.
#include "rl/compression/apprentice.h"

#include <gtest/gtest.h>

namespace terse::rl {
namespace {

configs::RunConfig small() {
  configs::RunConfig config = default_config();
  config.task.options.set("k_max", 2);
  config.task.options.set("align_to", 2);
  config.model.layers = 2;
  config.model.hidden_size = 32;
  config.model.heads = 2;
  config.model.max_seq_len = 64;
  config.model.init_std = 0.08;
  config.rl.student = {4, 32, 4e-3};
  return config;
}

class ApprenticeTest : public ::testing::Test {
 protected:
  // Shows the controller rollouts of the top rung's length; a share `accuracy` of them is correct.
  void observe(double accuracy) {
    std::vector<RolloutGroup> groups;
    for (const int64_t difficulty : task->difficulties()) {
      RolloutGroup group{task->problem(Split::kTrain, 0, difficulty), {}};
      for (int64_t i = 0; i < 100; ++i) {
        Rollout rollout;
        rollout.tokens.resize(static_cast<size_t>(controller.ladder().lengths(difficulty)[0]));
        rollout.correct = static_cast<double>(i) < 100 * accuracy;
        group.rollouts.push_back(rollout);
      }
      groups.push_back(std::move(group));
    }
    controller.observe(groups);
  }
  // Runs one step's practice, and the exam if one is due. Returns whether the apprentice has passed.
  bool step(Apprentice& student, double progress) {
    student.practise(controller, progress);
    return student.exam_due() && student.take_exam(controller);
  }
  torch::Tensor weights() { return policy.params().master().clone(); }

  configs::RunConfig config = small();
  std::unique_ptr<TokenizedTask> task = open_task(config.task, 1);
  trainer::Transformer policy{trainer::resolve(config.model, task->tokenizer().vocab_size()), torch::kCPU, 1};
  CompressionController controller{*task};
  Apprentice apprentice{config, *task, policy};
};

TEST_F(ApprenticeTest, NothingHappensBeforeThePolicyIsKnown) {
  EXPECT_FALSE(apprentice.exam_due());
  EXPECT_FALSE(step(apprentice, 0));
  EXPECT_TRUE(apprentice.metrics().empty());
}

TEST_F(ApprenticeTest, LearnsWithoutTouchingThePolicy) {
  observe(1.0);
  const torch::Tensor before = weights();
  ASSERT_FALSE(step(apprentice, 0));
  const double first = apprentice.metrics().at("practice/loss");
  EXPECT_EQ(apprentice.metrics().at("practice/rung"), 1);
  for (int i = 1; i < 9; ++i) ASSERT_FALSE(step(apprentice, 0));
  EXPECT_LT(apprentice.metrics().at("practice/loss"), 0.7 * first);
  EXPECT_FALSE(apprentice.metrics().contains("practice/exam_accuracy")) << "there has been no exam, which is not 0";
  EXPECT_TRUE(torch::equal(weights(), before));
}

TEST_F(ApprenticeTest, FailsAnExamAndThePolicyStaysAsItIs) {
  observe(1.0);
  const torch::Tensor before = weights();
  for (int i = 0; i < 10; ++i) ASSERT_FALSE(step(apprentice, 0));
  EXPECT_LT(apprentice.metrics().at("practice/exam_accuracy"), 0.9);
  EXPECT_TRUE(torch::equal(weights(), before));
  EXPECT_EQ(controller.rung(1), 0);
}

TEST_F(ApprenticeTest, EachExamAsksOtherProblems) {
  observe(1.0);
  for (const int64_t asked : {128, 256}) {
    for (int i = 0; i < 10; ++i) step(apprentice, 0);
    EXPECT_EQ(apprentice.state().at("examined"), asked) << "of each difficulty";
  }
}

TEST_F(ApprenticeTest, PassesAndThePolicyTakesItsWeights) {
  observe(0.0);  // the best accuracy so far is 0, so every exam is passed
  const torch::Tensor before = weights();
  for (int i = 0; i < 9; ++i) ASSERT_FALSE(step(apprentice, 0));
  ASSERT_TRUE(step(apprentice, 0));
  EXPECT_FALSE(torch::equal(weights(), before));
  EXPECT_EQ(controller.rung(2), 1);
  // Practice continues on the next rung.
  ASSERT_FALSE(step(apprentice, 0));
  EXPECT_EQ(apprentice.metrics().at("practice/rung"), 2);
}

// An unchanged copy answers as correctly as the policy. It must fail because it does not use the shorter form.
TEST_F(ApprenticeTest, TheOldFormHoweverRightIsNoPass) {
  config.rl.student = {200, 32, 4e-3};
  observe(0.0);
  for (int i = 0; i < 10; ++i) step(apprentice, 0);  // the policy masters rung 1
  ASSERT_EQ(controller.rung(2), 1);
  ASSERT_GT(apprentice.metrics().at("practice/exam_accuracy"), 0.9);
  config.rl.student = {1, 1, 1e-9};
  for (int i = 0; i < 10; ++i) step(apprentice, 0);
  EXPECT_EQ(apprentice.metrics().at("practice/rung"), 2);
  EXPECT_LT(apprentice.metrics().at("practice/exam_accuracy"), 0.1);
}

TEST_F(ApprenticeTest, RestsTowardsTheEndOfTheStage) {
  observe(1.0);
  step(apprentice, 0);
  step(apprentice, CompressionController::kConsolidate);
  EXPECT_TRUE(apprentice.metrics().empty());
}

TEST_F(ApprenticeTest, ResumedItGoesOnBitForBit) {
  observe(1.0);
  for (int i = 0; i < 5; ++i) step(apprentice, 0);
  checkpoints::StateDict tensors;
  apprentice.save(tensors);
  for (auto& [name, shard] : tensors.tensors) shard.data = shard.data.clone();
  Apprentice other(config, *task, policy);
  other.restore(tensors, nlohmann::json::parse(apprentice.state().dump()));
  for (int i = 0; i < 5; ++i) {
    step(apprentice, 0.1);
    step(other, 0.1);
    EXPECT_EQ(apprentice.metrics(), other.metrics());
  }
}

TEST_F(ApprenticeTest, AnInterruptedExamChangesNothingAndIsRepeatedTheSame) {
  observe(0.0);
  trainer::Interrupts interrupts;
  const std::unique_ptr<trainer::World> world = trainer::World::start({});
  trainer::SignalPoll signals(&interrupts, *world, torch::kCPU);
  Apprentice stopped(config, *task, policy, &signals);
  for (int i = 0; i < 10; ++i) {
    apprentice.practise(controller, 0);
    stopped.practise(controller, 0);
  }
  const nlohmann::json before = stopped.state();
  const torch::Tensor kept = weights();
  interrupts.request(trainer::Interrupt::kSaveAndStop);
  EXPECT_THROW(stopped.take_exam(controller), trainer::StopRequested);
  EXPECT_EQ(stopped.state(), before);
  EXPECT_TRUE(stopped.exam_due());
  EXPECT_TRUE(torch::equal(weights(), kept));

  checkpoints::StateDict tensors;
  stopped.save(tensors);
  for (auto& [name, shard] : tensors.tensors) shard.data = shard.data.clone();
  Apprentice resumed(config, *task, policy);
  resumed.restore(tensors, before);
  ASSERT_TRUE(resumed.exam_due());
  CompressionController same = controller;
  EXPECT_EQ(resumed.take_exam(same), apprentice.take_exam(controller));
  EXPECT_EQ(resumed.metrics(), apprentice.metrics());
}

}  // namespace
}  // namespace terse::rl
