// Tests on random groups the rules that every length penalty must keep. The tests run for each name in the table, so a
// new penalty needs no change here.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "rl/compression/length_penalty.h"

namespace terse::rl {
namespace {

constexpr int kGroups = 3000;

class PenaltyConformance : public testing::TestWithParam<std::string> {
 protected:
  LengthPenalty penalty = length_penalty(GetParam());
  std::mt19937 random{5};

  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); }
  double unit() { return std::uniform_real_distribution<double>(0, 1)(random); }

  PenaltyInput random_group() {
    PenaltyInput in;
    const int rollouts = 1 + below(16), spread = 1 + below(60);
    const double solved = below(4) / 3.0;
    for (int i = 0; i < rollouts; ++i) {
      in.lengths.push_back(1 + below(spread));
      in.correct.push_back(unit() < solved);
      in.score.push_back(in.correct.back() ? 1 : 0);
      in.finish.push_back(below(8) == 0 ? FinishReason::kLength : FinishReason::kStop);
      in.status.push_back(below(10) == 0 ? (below(2) == 0 ? VerifyStatus::kTimeout : VerifyStatus::kError)
                                         : VerifyStatus::kOk);
    }
    in.limit = 0.25 + 60 * unit();
    in.strength = unit();
    return in;
  }

  static bool wins(const PenaltyInput& in, size_t i) { return in.correct[i] && in.status[i] == VerifyStatus::kOk; }
};

TEST_P(PenaltyConformance, AGroupWithoutACorrectRolloutGetsEqualRewards) {
  for (int n = 0; n < kGroups; ++n) {
    PenaltyInput in = random_group();
    in.correct.assign(in.correct.size(), false);
    for (const double reward : penalty(in).reward) ASSERT_EQ(reward, 0);
  }
}

TEST_P(PenaltyConformance, AWrongRolloutNeverGetsMoreThanACorrectOne) {
  for (int n = 0; n < kGroups; ++n) {
    const PenaltyInput in = random_group();
    const ShapedRewards shaped = penalty(in);
    for (size_t i = 0; i < in.lengths.size(); ++i) {
      if (!wins(in, i)) {
        ASSERT_EQ(shaped.reward[i], 0);
      }
      ASSERT_GE(shaped.reward[i], 0);
    }
  }
}

TEST_P(PenaltyConformance, ShorterCorrectNeverGetsLessThanLongerCorrect) {
  for (int n = 0; n < kGroups; ++n) {
    const PenaltyInput in = random_group();
    const ShapedRewards shaped = penalty(in);
    for (size_t i = 0; i < in.lengths.size(); ++i) {
      for (size_t j = 0; j < in.lengths.size(); ++j) {
        const bool comparable =
            wins(in, i) && wins(in, j) && in.finish[i] == FinishReason::kStop && in.finish[j] == FinishReason::kStop;
        if (comparable && in.lengths[i] <= in.lengths[j]) {
          ASSERT_GE(shaped.reward[i], shaped.reward[j]);
        }
      }
    }
  }
}

TEST_P(PenaltyConformance, EqualRolloutsGetEqualRewards) {
  for (int n = 0; n < kGroups; ++n) {
    const PenaltyInput in = random_group();
    const ShapedRewards shaped = penalty(in);
    for (size_t i = 0; i < in.lengths.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        const bool equal = in.lengths[i] == in.lengths[j] && wins(in, i) == wins(in, j) && in.finish[i] == in.finish[j];
        if (equal) {
          ASSERT_EQ(shaped.reward[i], shaped.reward[j]);
        }
      }
    }
  }
}

TEST_P(PenaltyConformance, RewardsAreFiniteAtMostOneAndTheSumOfTheirParts) {
  for (int n = 0; n < kGroups; ++n) {
    const PenaltyInput in = random_group();
    const ShapedRewards shaped = penalty(in);
    ASSERT_EQ(shaped.reward.size(), in.lengths.size());
    for (size_t i = 0; i < in.lengths.size(); ++i) {
      ASSERT_TRUE(std::isfinite(shaped.reward[i]));
      ASSERT_LE(shaped.reward[i], 1);
      ASSERT_DOUBLE_EQ(shaped.reward[i], shaped.outcome[i] + shaped.length[i]);
      ASSERT_EQ(shaped.outcome[i], wins(in, i) ? 1 : 0);
      ASSERT_LE(shaped.length[i], 0);
    }
  }
}

TEST_P(PenaltyConformance, RolloutsWithoutAVerdictAreLeftOutAndChangeNothing) {
  for (int n = 0; n < kGroups; ++n) {
    const PenaltyInput in = random_group();
    const ShapedRewards with = penalty(in);
    PenaltyInput kept;
    kept.limit = in.limit;
    kept.strength = in.strength;
    std::vector<double> expected;
    for (size_t i = 0; i < in.lengths.size(); ++i) {
      ASSERT_EQ(with.counted[i], in.status[i] == VerifyStatus::kOk);
      if (!with.counted[i]) continue;
      kept.lengths.push_back(in.lengths[i]);
      kept.correct.push_back(in.correct[i]);
      kept.score.push_back(in.score[i]);
      kept.finish.push_back(in.finish[i]);
      kept.status.push_back(in.status[i]);
      expected.push_back(with.reward[i]);
    }
    ASSERT_EQ(penalty(kept).reward, expected);
  }
}

TEST_P(PenaltyConformance, WrongRolloutsDoNotChangeWhatCorrectOnesGet) {
  for (int n = 0; n < kGroups; ++n) {
    PenaltyInput in = random_group();
    const ShapedRewards before = penalty(in);
    for (size_t i = 0; i < in.lengths.size(); ++i) {
      if (!in.correct[i]) in.lengths[i] += 1000;
    }
    ASSERT_EQ(penalty(in).reward, before.reward);
  }
}

INSTANTIATE_TEST_SUITE_P(Penalties, PenaltyConformance, testing::ValuesIn(penalty_names()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace terse::rl
