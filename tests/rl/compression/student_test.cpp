// Tests that the student leaves the policy unchanged until it passes the gate, and that the policy then takes its
// weights.
#include "rl/compression/student.h"

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

class StudentTest : public ::testing::Test {
 protected:
  // Shows the controller rollouts of the first level's length; a share `accuracy` of them is correct.
  void observe(double accuracy) {
    std::vector<RolloutGroup> groups;
    for (const Difficulty& difficulty : task->difficulties()) {
      RolloutGroup group{task->problem(Split::kTrain, 0, difficulty), {}};
      for (int64_t i = 0; i < 100; ++i) {
        Rollout rollout;
        rollout.tokens.resize(static_cast<size_t>(controller.curriculum().lengths(difficulty)[0]));
        rollout.correct = static_cast<double>(i) < 100 * accuracy;
        group.rollouts.push_back(rollout);
      }
      groups.push_back(std::move(group));
    }
    controller.observe(groups);
  }
  // Runs one step's updates, and the gate if it is due. Returns whether the student has passed.
  bool step(Student& trained, double progress) {
    trained.train(controller, progress);
    return trained.gate_due() && trained.run_gate(controller);
  }
  torch::Tensor weights() { return policy.params().master().clone(); }

  configs::RunConfig config = small();
  std::unique_ptr<TokenizedTask> task = open_task(config.task, 1);
  trainer::Transformer policy{trainer::resolve(config.model, task->tokenizer().vocab_size()), torch::kCPU, 1};
  CompressionController controller{*task};
  Student student{config, *task, policy};
};

TEST_F(StudentTest, NothingHappensBeforeThePolicyIsKnown) {
  EXPECT_FALSE(student.gate_due());
  EXPECT_FALSE(step(student, 0));
  EXPECT_TRUE(student.metrics().empty());
}

TEST_F(StudentTest, LearnsWithoutTouchingThePolicy) {
  observe(1.0);
  const torch::Tensor before = weights();
  ASSERT_FALSE(step(student, 0));
  const double first = student.metrics().at("student/loss");
  EXPECT_EQ(student.metrics().at("student/level"), 1);
  for (int i = 1; i < 9; ++i) ASSERT_FALSE(step(student, 0));
  EXPECT_LT(student.metrics().at("student/loss"), 0.7 * first);
  EXPECT_FALSE(student.metrics().contains("student/gate_accuracy")) << "there has been no gate, which is not 0";
  EXPECT_TRUE(torch::equal(weights(), before));
}

TEST_F(StudentTest, FailsTheGateAndThePolicyStaysAsItIs) {
  observe(1.0);
  const torch::Tensor before = weights();
  for (int i = 0; i < 10; ++i) ASSERT_FALSE(step(student, 0));
  EXPECT_LT(student.metrics().at("student/gate_accuracy"), 0.9);
  EXPECT_TRUE(torch::equal(weights(), before));
  EXPECT_EQ(controller.level(1), 0);
}

// The gate evaluates the average of the weights. The updates then continue from the weights themselves.
TEST_F(StudentTest, TheGateLeavesTheStudentAsItWas) {
  observe(1.0);
  for (int i = 0; i < 10; ++i) student.train(controller, 0);
  const auto saved = [&] {
    checkpoints::StateDict state;
    student.save(state);
    for (auto& [name, shard] : state.tensors) shard.data = shard.data.clone();
    return state.tensors;
  };
  const auto before = saved();
  ASSERT_FALSE(student.run_gate(controller));
  const auto after = saved();
  ASSERT_EQ(after.size(), before.size());
  for (const auto& [name, shard] : before) EXPECT_TRUE(torch::equal(after.at(name).data, shard.data)) << name;
}

TEST_F(StudentTest, EachGateAsksOtherProblems) {
  observe(1.0);
  for (const int64_t asked : {128, 256}) {
    for (int i = 0; i < 10; ++i) step(student, 0);
    EXPECT_EQ(student.state().at("examined"), asked) << "of each difficulty";
  }
}

TEST_F(StudentTest, PassesAndThePolicyTakesItsWeights) {
  observe(0.0);  // the best accuracy so far is 0, so every gate is passed
  const torch::Tensor before = weights();
  for (int i = 0; i < 9; ++i) ASSERT_FALSE(step(student, 0));
  ASSERT_TRUE(step(student, 0));
  EXPECT_FALSE(torch::equal(weights(), before));
  EXPECT_EQ(controller.level(2), 1);
  // The updates continue on the next level.
  ASSERT_FALSE(step(student, 0));
  EXPECT_EQ(student.metrics().at("student/level"), 2);
}

TEST_F(StudentTest, WithLoraItCopiesTheAdaptersAlone) {
  configs::Lora lora;
  lora.rank = 4;
  trainer::Transformer adapted{trainer::resolve(config.model, task->tokenizer().vocab_size(), lora), torch::kCPU, 1};
  Student trained{config, *task, adapted};
  observe(0.0);
  const torch::Tensor before = adapted.params().master().clone();
  const torch::Tensor frozen = adapted.params().frozen()->block(0).qkv.clone();
  for (int i = 0; i < 9; ++i) ASSERT_FALSE(step(trained, 0));
  EXPECT_EQ(adapted.params().frozen().use_count(), 2) << "both models share the frozen weights";
  checkpoints::StateDict state;
  trained.save(state);
  for (const auto& [name, shard] : state.tensors)
    EXPECT_TRUE(name.ends_with(".updates") || name.find("/base_model.model.") != std::string::npos) << name;
  ASSERT_TRUE(step(trained, 0));
  EXPECT_FALSE(torch::equal(adapted.params().master(), before));
  EXPECT_TRUE(torch::equal(adapted.params().frozen()->block(0).qkv, frozen));
}

// An unchanged copy answers as correctly as the policy. It must fail because it does not use the shorter form.
TEST_F(StudentTest, TheOldFormHoweverRightIsNoPass) {
  config.rl.student = {200, 32, 4e-3};
  observe(0.0);
  for (int i = 0; i < 10; ++i) step(student, 0);  // the policy masters level 1
  ASSERT_EQ(controller.level(2), 1);
  ASSERT_GT(student.metrics().at("student/gate_accuracy"), 0.9);
  config.rl.student = {1, 1, 1e-9};
  for (int i = 0; i < 10; ++i) step(student, 0);
  EXPECT_EQ(student.metrics().at("student/level"), 2);
  EXPECT_LT(student.metrics().at("student/gate_accuracy"), 0.1);
}

TEST_F(StudentTest, RestsTowardsTheEndOfTheStage) {
  observe(1.0);
  step(student, 0);
  step(student, CompressionController::kConsolidate);
  EXPECT_TRUE(student.metrics().empty());
}

TEST_F(StudentTest, ResumedItGoesOnBitForBit) {
  observe(1.0);
  for (int i = 0; i < 5; ++i) step(student, 0);
  checkpoints::StateDict tensors;
  student.save(tensors);
  for (auto& [name, shard] : tensors.tensors) shard.data = shard.data.clone();
  Student other(config, *task, policy);
  other.restore(tensors, nlohmann::json::parse(student.state().dump()));
  for (int i = 0; i < 5; ++i) {
    step(student, 0.1);
    step(other, 0.1);
    EXPECT_EQ(student.metrics(), other.metrics());
  }
}

TEST_F(StudentTest, AnInterruptedGateChangesNothingAndIsRepeatedTheSame) {
  observe(0.0);
  trainer::Interrupts interrupts;
  const std::unique_ptr<trainer::World> world = trainer::World::start({});
  trainer::SignalPoll signals(&interrupts, *world, torch::kCPU);
  Student stopped(config, *task, policy, &signals);
  for (int i = 0; i < 10; ++i) {
    student.train(controller, 0);
    stopped.train(controller, 0);
  }
  const nlohmann::json before = stopped.state();
  const torch::Tensor kept = weights();
  interrupts.request(trainer::Interrupt::kSaveAndStop);
  EXPECT_THROW(stopped.run_gate(controller), trainer::StopRequested);
  EXPECT_EQ(stopped.state(), before);
  EXPECT_TRUE(stopped.gate_due());
  EXPECT_TRUE(torch::equal(weights(), kept));

  checkpoints::StateDict tensors;
  stopped.save(tensors);
  for (auto& [name, shard] : tensors.tensors) shard.data = shard.data.clone();
  Student resumed(config, *task, policy);
  resumed.restore(tensors, before);
  ASSERT_TRUE(resumed.gate_due());
  CompressionController same = controller;
  EXPECT_EQ(resumed.run_gate(same), student.run_gate(controller));
  EXPECT_EQ(resumed.metrics(), student.metrics());
}

}  // namespace
}  // namespace terse::rl
