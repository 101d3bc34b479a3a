// Compares advantages with numbers computed by hand, and tests the ways in which a baseline can go wrong.
#include "rl/update/advantage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace terse::rl {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::Pointwise;

constexpr AdvantageNorm kAllNorms[] = {AdvantageNorm::kBatch, AdvantageNorm::kGroup, AdvantageNorm::kNone};
constexpr double kClose = 1e-5;  // covers the 1e-6 that is added to a standard deviation

RolloutGroup group(const std::vector<double>& rewards) {
  RolloutGroup made;
  for (const double reward : rewards) {
    Rollout rollout;
    rollout.reward = reward;
    rollout.correct = reward > 0;
    made.rollouts.push_back(rollout);
  }
  return made;
}

std::vector<double> advantages(const RolloutGroup& made) {
  std::vector<double> values;
  for (const Rollout& rollout : made.rollouts) values.push_back(rollout.advantage);
  return values;
}

auto close_to(const std::vector<double>& expected) {
  return Pointwise(testing::DoubleNear(kClose), expected);
}

TEST(Advantage, NoneSubtractsTheGroupMean) {
  std::vector<RolloutGroup> groups = {group({1, 0, 0, 0})};
  compute_advantages(groups, AdvantageNorm::kNone);
  EXPECT_THAT(advantages(groups[0]), ElementsAre(0.75, -0.25, -0.25, -0.25));
}

TEST(Advantage, GroupDividesByTheUnbiasedDeviationOfTheGroup) {
  std::vector<RolloutGroup> groups = {group({1, 0, 0, 0}), group({1, 1, 0, 0})};
  compute_advantages(groups, AdvantageNorm::kGroup);
  EXPECT_THAT(advantages(groups[0]), close_to({1.5, -0.5, -0.5, -0.5}));  // sqrt((.5625 + 3 * .0625) / 3) = .5
  const double value = 0.5 / std::sqrt(1.0 / 3);
  EXPECT_THAT(advantages(groups[1]), close_to({value, value, -value, -value}));
}

TEST(Advantage, BatchCentresByGroupAndDividesByTheDeviationOfTheBatch) {
  std::vector<RolloutGroup> groups = {group({1, 0, 0, 0}), group({1, 1, 0, 0})};
  compute_advantages(groups, AdvantageNorm::kBatch);  // sqrt((.75 + 1) / 7) = .5
  EXPECT_THAT(advantages(groups[0]), close_to({1.5, -0.5, -0.5, -0.5}));
  EXPECT_THAT(advantages(groups[1]), close_to({1, 1, -1, -1}));
}

TEST(Advantage, BatchKeepsAShapedGroupSmallBesideOneWithAnOutcomeSignal) {
  std::vector<RolloutGroup> groups = {group({1, 0, 0, 0}), group({1, 0.98, 1, 1})};
  compute_advantages(groups, AdvantageNorm::kBatch);
  EXPECT_LT(std::abs(groups[1].rollouts[1].advantage), 0.05);
  compute_advantages(groups, AdvantageNorm::kGroup);
  EXPECT_NEAR(groups[1].rollouts[1].advantage, -1.5, 1e-3);
}

TEST(Advantage, AllEqualRewardsGiveZero) {
  for (const AdvantageNorm norm : kAllNorms) {
    // 0.85 * 12 / 12 is not 0.85 in floating point. Without the max - min test, this rounding error would become a
    // signal.
    std::vector<RolloutGroup> groups = {group(std::vector<double>(12, 0.85)), group({0, 0, 0})};
    const AdvantageStats stats = compute_advantages(groups, norm);
    EXPECT_THAT(advantages(groups[0]), Each(0.0));
    EXPECT_THAT(advantages(groups[1]), Each(0.0));
    EXPECT_EQ(stats.uniform_groups, 2);
    EXPECT_EQ(stats.reward_std, 0);
  }
}

TEST(Advantage, RewardsThatDifferByRoundingGiveZero) {
  for (const AdvantageNorm norm : kAllNorms) {
    std::vector<RolloutGroup> groups = {group({0.1 + 0.2, 0.3, 0.3, 0.3})};
    ASSERT_NE(groups[0].rollouts[0].reward, groups[0].rollouts[1].reward);
    compute_advantages(groups, norm);
    EXPECT_THAT(advantages(groups[0]), Each(0.0));
  }
}

TEST(Advantage, ASingleRolloutGetsZero) {
  for (const AdvantageNorm norm : kAllNorms) {
    std::vector<RolloutGroup> groups = {group({1}), group({})};
    const AdvantageStats stats = compute_advantages(groups, norm);
    EXPECT_THAT(advantages(groups[0]), ElementsAre(0));
    EXPECT_EQ(stats.uniform_groups, 2);
  }
}

TEST(Advantage, GroupsOfDifferentSizesKeepTheirOwnMeans) {
  std::vector<RolloutGroup> groups = {group({1, 0}), group({1, 1, 0, 0, 0})};
  compute_advantages(groups, AdvantageNorm::kNone);
  EXPECT_THAT(advantages(groups[0]), close_to({0.5, -0.5}));
  EXPECT_THAT(advantages(groups[1]), close_to({0.6, 0.6, -0.4, -0.4, -0.4}));
}

TEST(Advantage, TimeoutsAndErrorsAreLeftOutOfTheBaselineAndGetZero) {
  for (const AdvantageNorm norm : kAllNorms) {
    std::vector<RolloutGroup> with = {group({1, 0, 0, 0}), group({1, 0, 5, 0, -5, 0})};
    with[1].rollouts[2].status = VerifyStatus::kTimeout;
    with[1].rollouts[4].status = VerifyStatus::kError;
    std::vector<RolloutGroup> without = {group({1, 0, 0, 0}), group({1, 0, 0, 0})};
    const AdvantageStats stats = compute_advantages(with, norm);
    compute_advantages(without, norm);
    const auto expected = advantages(without[1]);
    EXPECT_THAT(advantages(with[1]), ElementsAre(expected[0], expected[1], 0, expected[2], 0, expected[3]));
    EXPECT_EQ(advantages(with[0]), advantages(without[0]));
    EXPECT_EQ(stats.left_out, 2);
    EXPECT_EQ(stats.counted, 8);
    EXPECT_EQ(stats.nonfinite, 0);
  }
}

TEST(Advantage, ANonFiniteRewardBecomesAnErrorAndSpoilsNoOne) {
  for (const AdvantageNorm norm : kAllNorms) {
    for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
      std::vector<RolloutGroup> groups = {group({1, 0, bad, 0, 0})};
      const AdvantageStats stats = compute_advantages(groups, norm);
      EXPECT_EQ(stats.nonfinite, 1);
      EXPECT_EQ(stats.left_out, 1);
      EXPECT_EQ(stats.reward_mean, 0.25);
      const Rollout& spoiled = groups[0].rollouts[2];
      EXPECT_EQ(spoiled.status, VerifyStatus::kError);
      EXPECT_EQ(spoiled.reward, 0);
      EXPECT_EQ(spoiled.advantage, 0);
      EXPECT_GT(groups[0].rollouts[0].advantage, 0);
      EXPECT_TRUE(std::isfinite(groups[0].rollouts[1].advantage));
    }
  }
}

TEST(Advantage, AGroupInWhichOnlyOneVerdictArrivedGivesNoSignal) {
  std::vector<RolloutGroup> groups = {group({1, 0, 0})};
  groups[0].rollouts[1].status = groups[0].rollouts[2].status = VerifyStatus::kTimeout;
  const AdvantageStats stats = compute_advantages(groups, AdvantageNorm::kBatch);
  EXPECT_THAT(advantages(groups[0]), Each(0.0));
  EXPECT_EQ(stats.uniform_groups, 1);
}

TEST(Advantage, NothingAtAllIsFine) {
  std::vector<RolloutGroup> groups;
  for (const AdvantageNorm norm : kAllNorms) {
    const AdvantageStats stats = compute_advantages(groups, norm);
    EXPECT_EQ(stats.reward_mean, std::nullopt);
    EXPECT_EQ(stats.reward_std, std::nullopt);
  }
}

TEST(Advantage, AGroupOfOneHasNoDeviationAndSoNoPartInTheirMean) {
  std::vector<RolloutGroup> groups = {group({1}), group({1, 0})};
  EXPECT_DOUBLE_EQ(compute_advantages(groups, AdvantageNorm::kGroup).reward_std.value(), std::sqrt(0.5));
  groups.pop_back();
  EXPECT_EQ(compute_advantages(groups, AdvantageNorm::kGroup).reward_std, std::nullopt);
}

TEST(Advantage, OldAdvantagesAreReplaced) {
  std::vector<RolloutGroup> groups = {group({1, 1})};
  groups[0].rollouts[0].advantage = 3;
  compute_advantages(groups, AdvantageNorm::kBatch);
  EXPECT_EQ(groups[0].rollouts[0].advantage, 0);
}

TEST(Advantage, StatsTellRewardsAndCorrectRolloutsThatArePushedDown) {
  std::vector<RolloutGroup> groups = {group({1, 0.5, 0.9, 0}), group({1, 0, 0, 0})};
  const AdvantageStats stats = compute_advantages(groups, AdvantageNorm::kBatch);
  EXPECT_EQ(stats.counted, 8);
  EXPECT_EQ(stats.correct, 4);
  EXPECT_EQ(stats.correct_negative, 1);  // 0.5 below the mean 0.6
  EXPECT_NEAR(stats.reward_mean.value(), 3.4 / 8, 1e-12);
  EXPECT_NEAR(stats.reward_std.value(), (std::sqrt(0.62 / 3) + 0.5) / 2, 1e-12);
}

TEST(Advantage, NamesParseAndUnknownOnesAreRefused) {
  EXPECT_EQ(parse_advantage_norm("batch"), AdvantageNorm::kBatch);
  EXPECT_EQ(parse_advantage_norm("group"), AdvantageNorm::kGroup);
  EXPECT_EQ(parse_advantage_norm("none"), AdvantageNorm::kNone);
  EXPECT_THAT(advantage_norm_names(), ElementsAre("batch", "group", "none"));
  EXPECT_THROW(parse_advantage_norm("std"), std::invalid_argument);
}

}  // namespace
}  // namespace terse::rl
