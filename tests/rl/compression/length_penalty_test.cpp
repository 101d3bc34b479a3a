// Compares each penalty with numbers computed by hand. penalty_conformance_test.cpp tests the rules that all of them
// share.
#include "rl/compression/length_penalty.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace terse::rl {
namespace {

using testing::DoubleEq;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

// Four finished rollouts: three correct ones of 4, 8 and 12 tokens and a wrong one of 2.
PenaltyInput four() {
  PenaltyInput in;
  in.lengths = {4, 8, 12, 2};
  in.correct = {true, true, true, false};
  in.score = {1, 1, 1, 0};
  in.finish.assign(4, FinishReason::kStop);
  in.status.assign(4, VerifyStatus::kOk);
  return in;
}

std::vector<double> rewards(const char* name, const PenaltyInput& in) {
  return length_penalty(name)(in).reward;
}

TEST(LengthPenalty, NoneIsTheOutcome) {
  EXPECT_THAT(rewards("none", four()), ElementsAre(1, 1, 1, 0));
}

TEST(LengthPenalty, TruncationCountsTheLimitItselfAsWithin) {
  PenaltyInput in = four();
  in.limit = 8;
  EXPECT_THAT(rewards("truncation", in), ElementsAre(1, 1, 0, 0));
  in.limit = 7.75;
  EXPECT_THAT(rewards("truncation", in), ElementsAre(1, 0, 0, 0));
}

TEST(LengthPenalty, TruncationAndAdaptiveGiveNothingToAResponseThatWasCut) {
  for (const char* name : {"truncation", "adaptive"}) {
    PenaltyInput in = four();
    in.finish[1] = FinishReason::kLength;
    EXPECT_THAT(rewards(name, in), ElementsAre(1, 0, 1, 0)) << name;
  }
}

TEST(LengthPenalty, AdaptiveCountsACorrectAnswerWithinItsLimitOnly) {
  PenaltyInput in = four();
  in.limit = 7;
  EXPECT_THAT(rewards("adaptive", in), ElementsAre(1, 0, 0, 0));
}

TEST(LengthPenalty, AdaptiveWithoutALimitIsTheOutcome) {
  EXPECT_THAT(rewards("adaptive", four()), ElementsAre(1, 1, 1, 0));
}

TEST(LengthPenalty, GroupRelativeUsesTheZScoreAmongCorrectRollouts) {
  PenaltyInput in = four();
  in.strength = 0.3;  // mean 8, unbiased standard deviation 4: z = -1, 0, 1; the wrong one does not count
  const auto kept = [](double z) { return DoubleNear(1 - 0.3 / (1 + std::exp(-z)), 1e-12); };
  EXPECT_THAT(rewards("group_relative", in), ElementsAre(kept(-1), kept(0), kept(1), 0));
}

TEST(LengthPenalty, GroupRelativeGivesEqualLengthsTheSameReward) {
  PenaltyInput in = four();
  in.strength = 0.3;
  in.lengths = {9, 9, 9, 1};
  EXPECT_THAT(rewards("group_relative", in), ElementsAre(DoubleEq(0.85), DoubleEq(0.85), DoubleEq(0.85), 0));
  in.correct = {false, true, false, false};
  EXPECT_THAT(rewards("group_relative", in), ElementsAre(0, DoubleEq(0.85), 0, 0));
}

TEST(LengthPenalty, PartsTellOutcomeAndLengthApart) {
  PenaltyInput in = four();
  in.limit = 9;
  const ShapedRewards shaped = length_penalty("adaptive")(in);
  EXPECT_THAT(shaped.outcome, ElementsAre(1, 1, 1, 0));
  EXPECT_THAT(shaped.length, ElementsAre(0, 0, -1, 0));
}

TEST(LengthPenalty, ACorrectRolloutKeepsAShareOfItsScoreAndAWrongOneEarnsNothing) {
  PenaltyInput in = four();
  in.score = {0.5, 2, 1, 0.75};
  EXPECT_THAT(rewards("none", in), ElementsAre(0.5, 2, 1, 0));
  in.limit = 8;
  EXPECT_THAT(rewards("truncation", in), ElementsAre(0.5, 2, 0, 0));
  in.strength = 0.3;
  in.lengths = {9, 9, 9, 1};
  const ShapedRewards shaped = length_penalty("group_relative")(in);
  EXPECT_THAT(shaped.reward, ElementsAre(DoubleEq(0.425), DoubleEq(1.7), DoubleEq(0.85), 0));
  EXPECT_THAT(shaped.length,
              ElementsAre(DoubleNear(-0.075, 1e-12), DoubleNear(-0.3, 1e-12), DoubleNear(-0.15, 1e-12), 0));
}

TEST(LengthPenalty, AnEmptyGroupGivesNothing) {
  for (const std::string& name : penalty_names()) EXPECT_TRUE(length_penalty(name)({}).reward.empty()) << name;
}

void expect_refused(const char* name, const PenaltyInput& in, const std::string& mentions) {
  try {
    length_penalty(name)(in);
    ADD_FAILURE() << name << " accepted it; expected a complaint about " << mentions;
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(mentions));
  }
}

TEST(LengthPenalty, ImpossibleParametersAreNamed) {
  PenaltyInput in = four();
  in.limit = 0;  // the default of rl.penalty.limit: a truncation without a limit is a mistake, not "no limit"
  expect_refused("truncation", in, "limit is 0");
  in.limit = std::nan("");
  expect_refused("adaptive", in, "limit is nan");
  in = four();
  in.strength = 1.5;
  expect_refused("group_relative", in, "strength is 1.5");
  in = four();
  in.correct.pop_back();
  for (const std::string& name : penalty_names()) expect_refused(name.c_str(), in, "4 lengths, 3 outcomes");
  in = four();
  in.score.pop_back();
  for (const std::string& name : penalty_names()) expect_refused(name.c_str(), in, "3 scores");
}

TEST(LengthPenalty, AnUnknownNameListsTheKnownOnes) {
  try {
    length_penalty("truncate");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("'truncate'; known: none, truncation, group_relative, adaptive"));
  }
}

TEST(LengthPenalty, GroupsAreReadAndWrittenInOrder) {
  RolloutGroup group;
  group.rollouts.resize(3);
  group.rollouts[0].tokens = {1, 2, 3};
  group.rollouts[0].correct = true;
  group.rollouts[0].score = 0.5;
  group.rollouts[1].tokens = {1};
  group.rollouts[1].finish = FinishReason::kLength;
  group.rollouts[2].status = VerifyStatus::kTimeout;
  const PenaltyInput in = penalty_input(group);
  EXPECT_THAT(in.lengths, ElementsAre(3, 1, 0));
  EXPECT_THAT(in.correct, ElementsAre(true, false, false));
  EXPECT_THAT(in.score, ElementsAre(0.5, 0, 0));
  EXPECT_THAT(in.finish, ElementsAre(FinishReason::kStop, FinishReason::kLength, FinishReason::kStop));
  EXPECT_THAT(in.status, ElementsAre(VerifyStatus::kOk, VerifyStatus::kOk, VerifyStatus::kTimeout));

  store_rewards(length_penalty("none")(in), group);
  EXPECT_EQ(group.rollouts[0].reward, 0.5);
  EXPECT_EQ(group.rollouts[1].reward, 0);
  group.rollouts.pop_back();
  EXPECT_THROW(store_rewards(length_penalty("none")(in), group), std::invalid_argument);
}

}  // namespace
}  // namespace terse::rl
