// Tests on rollouts made by hand when the controller moves down, when it stays, and when it backs off.
#include "rl/compression/compression_controller.h"

#include <gtest/gtest.h>

#include "base/errors.h"

namespace terse::rl {
namespace {

class Controller : public ::testing::Test {
 protected:
  // Observes `count` rollouts at every difficulty, or at `only_difficulty` alone. They have the length of `level`, and
  // `right` of them are correct.
  void observe(int64_t level, int64_t count, int64_t right, int64_t only_difficulty = 0) {
    std::vector<RolloutGroup> groups;
    for (const Difficulty& difficulty : task->difficulties()) {
      if (only_difficulty != 0 && difficulty.value != only_difficulty) continue;
      RolloutGroup group{task->problem(Split::kTrain, 0, difficulty), {}};
      const double length = controller.curriculum().lengths(difficulty)[static_cast<size_t>(level)];
      for (int64_t i = 0; i < count; ++i) {
        Rollout rollout;
        rollout.tokens.resize(static_cast<size_t>(length));
        rollout.correct = i < right;
        group.rollouts.push_back(rollout);
      }
      groups.push_back(std::move(group));
    }
    controller.observe(groups);
  }
  // Observes `count` problems of one difficulty. All rollouts of the first `right` problems are correct, all others
  // wrong.
  void observe_problems(int64_t level, int64_t count, int64_t right, int64_t difficulty) {
    for (int64_t i = 0; i < count; ++i) observe(level, 12, i < right ? 12 : 0, difficulty);
  }
  std::map<Difficulty, double> at_gate(double accuracy) const {
    std::map<Difficulty, double> all;
    for (const Difficulty& difficulty : task->difficulties()) all[difficulty] = accuracy;
    return all;
  }
  std::unique_ptr<TokenizedTask> task = open_task(default_config().task, 1);
  CompressionController controller{*task};
};

TEST_F(Controller, NothingIsLimitedBeforeAnythingIsSeen) {
  EXPECT_TRUE(std::isinf(controller.limit(8)));
  EXPECT_FALSE(controller.next_level());
  EXPECT_EQ(controller.pressure(), 0);
}

TEST_F(Controller, StandsAtTheShortestLevelThatAllHaveMastered) {
  observe(1, 100, 95);
  EXPECT_EQ(controller.level(8), 1);
  observe(3, 60, 60);
  EXPECT_EQ(controller.level(1), 3);
  EXPECT_EQ(controller.limit(8), 11);
  EXPECT_EQ(controller.limit(1), 4);
  EXPECT_EQ(controller.next_level(), 4);
}

// On level 3 (bare states) a response has k + 3 tokens; in the most verbose form it has 12 k + 4.
TEST_F(Controller, PressureIsTheMeanOverDifficultiesOfWhatTheLimitTakesAway) {
  observe(3, 300, 300);
  ASSERT_EQ(controller.level(8), 3);
  const double kept = 4. / 16 + 5. / 28 + 6. / 40 + 7. / 52 + 8. / 64 + 9. / 76 + 10. / 88 + 11. / 100;
  EXPECT_DOUBLE_EQ(controller.pressure(), 1 - kept / 8);
}

TEST_F(Controller, ShorterIsNotEnoughWhenItIsLessAccurate) {
  observe(1, 100, 98);
  observe(3, 60, 54);
  EXPECT_EQ(controller.level(8), 1);
}

TEST_F(Controller, OneDifficultyBehindHoldsAllOfThem) {
  observe(1, 100, 98);
  for (int64_t difficulty = 1; difficulty < 8; ++difficulty) observe(3, 60, 60, difficulty);
  EXPECT_EQ(controller.level(1), 1);
  observe(3, 60, 60, 8);
  EXPECT_EQ(controller.level(1), 3);
}

TEST_F(Controller, AFewRolloutsAreNoEvidence) {
  observe(1, 100, 98);
  observe(3, 20, 20);
  EXPECT_EQ(controller.level(8), 1);
}

TEST_F(Controller, BacksOffAtTheSufferingDifficultyAloneAndCountsIt) {
  observe(3, 300, 300);
  ASSERT_EQ(controller.level(8), 3);
  observe_problems(3, 60, 30, 8);
  EXPECT_EQ(controller.level(8), 2);
  EXPECT_EQ(controller.level(7), 3);
  EXPECT_EQ(controller.backoffs(), 1);
  EXPECT_EQ(controller.next_level(), 3) << "what was lost is learned first";
  EXPECT_EQ(controller.mastered_level(8), 3) << "the policy has left the form of level 2";
}

TEST_F(Controller, BacksOffOnThirtyProblemsOfWhichMoreThanATenthIsWrong) {
  observe(3, 300, 300);
  controller.promote(4);
  const auto outcome = [&](int64_t problems, int64_t wrong) {
    CompressionController tried(*task);
    tried.restore(controller.state());
    std::vector<RolloutGroup> groups;
    for (int64_t p = 0; p < problems; ++p) {
      RolloutGroup group{task->problem(Split::kTrain, p, 8), std::vector<Rollout>(12)};
      for (Rollout& rollout : group.rollouts) {
        rollout.tokens.resize(static_cast<size_t>(controller.limit(8)));
        rollout.correct = p >= wrong;
      }
      groups.push_back(group);
    }
    tried.observe(groups);
    return tried.backoffs();
  };
  EXPECT_EQ(outcome(29, 29), 0) << "too few problems";
  EXPECT_EQ(outcome(30, 3), 0);
  EXPECT_EQ(outcome(30, 4), 1);
}

TEST_F(Controller, OneProblemIsNoEvidenceHoweverManyRolloutsItHas) {
  observe(3, 300, 300);
  observe(3, 300, 0, 8);
  EXPECT_EQ(controller.backoffs(), 0);
}

TEST_F(Controller, TheGateToleratesNoLossAtAnyDifficulty) {
  observe(3, 300, 300);
  EXPECT_TRUE(controller.passes(at_gate(0.992)));
  auto marks = at_gate(1.0);
  marks[5] = 0.985;
  EXPECT_FALSE(controller.passes(marks));
}

TEST_F(Controller, APromotionMovesAllDownAsFarAsTheyCan) {
  observe(3, 300, 300);
  controller.promote(5);
  EXPECT_EQ(controller.limit(8), 5);
  EXPECT_EQ(controller.limit(1), 3);
  EXPECT_EQ(controller.level(1), 4) << "nothing shorter exists there";
  EXPECT_EQ(controller.next_level(), 6);
  controller.promote(10);
  EXPECT_FALSE(controller.next_level()) << "the end of the curriculum";
}

// At difficulty 4, strides 2 and 3 both keep one token. Rollouts of this length must count for the current level, so
// that the controller does not change between equally long ones.
TEST_F(Controller, EquallyLongLevelsAreNotConfused) {
  observe(3, 300, 300);
  controller.promote(4);
  for (int i = 0; i < 10; ++i) observe(4, 50, 50);
  EXPECT_EQ(controller.level(4), 4);
  controller.promote(5);
  for (int i = 0; i < 10; ++i) observe(5, 50, 50);
  EXPECT_EQ(controller.level(4), 5);
}

TEST_F(Controller, AFailedVerifierSaysNothingAboutThePolicy) {
  RolloutGroup group{task->problem(Split::kTrain, 0, 8), std::vector<Rollout>(100)};
  for (Rollout& rollout : group.rollouts) rollout.status = VerifyStatus::kTimeout;
  controller.observe({group});
  EXPECT_TRUE(std::isinf(controller.limit(8)));
}

TEST_F(Controller, AResumedControllerDoesTheSame) {
  observe(2, 50, 48);
  observe(3, 40, 39);
  observe_problems(3, 30, 15, 8);
  const nlohmann::json state = controller.state();
  const auto go_on = [&] {
    observe_problems(3, 30, 15, 8);
    return controller.state();
  };
  const nlohmann::json after = go_on();
  ASSERT_EQ(controller.backoffs(), 1);
  controller.restore(nlohmann::json::parse(state.dump()));
  ASSERT_NE(controller.state(), after);
  EXPECT_EQ(go_on(), after);
}

// Two tasks of a mixture have a difficulty 2 each. Only that of the first task suffers.
TEST(ControllerOfAMixture, KeepsALimitForEachDifficultyOfEachTask) {
  configs::Task part = default_config().task, mixture = part;
  part.options.set("k_min", 2);
  part.options.set("k_max", 2);
  mixture.name = "mixture";
  mixture.mixture = {{"a", part}, {"b", part}};
  const std::unique_ptr<TokenizedTask> task = open_task(mixture, 1);
  ASSERT_TRUE(task->can_be_thinned());
  CompressionController controller(*task);
  const auto observe = [&](const std::string& name, int64_t problems, bool right) {
    std::vector<RolloutGroup> groups;
    for (int64_t i = 0; i < problems; ++i) {
      groups.push_back({task->problem(Split::kTrain, i, {2, name}), {}});
      Rollout rollout;
      rollout.tokens.resize(static_cast<size_t>(controller.curriculum().lengths({2, name})[1]));
      rollout.correct = right;
      groups.back().rollouts.assign(4, rollout);
    }
    controller.observe(groups);
  };
  for (const char* name : {"a", "b"}) observe(name, 40, true);
  EXPECT_EQ(controller.level({2, "a"}), 1);
  EXPECT_EQ(controller.level({2, "b"}), 1);
  for (int i = 0; i < 45; ++i) {  // 30 problems that the tally remembers
    observe("a", 1, false);
    observe("b", 1, true);
  }
  EXPECT_EQ(controller.level({2, "a"}), 0);
  EXPECT_EQ(controller.level({2, "b"}), 1);
  EXPECT_GT(controller.limit({2, "a"}), controller.limit({2, "b"}));
  EXPECT_EQ(controller.difficulties(), (std::vector<Difficulty>{{2, "a"}, {2, "b"}}));

  CompressionController again(*task);
  again.restore(controller.state());
  EXPECT_EQ(again.state(), controller.state());
  EXPECT_EQ(again.level({2, "a"}), 0);
  CompressionController other(*open_task(part, 1));
  EXPECT_THROW(other.restore(controller.state()), ConfigError);
}

}  // namespace
}  // namespace terse::rl
