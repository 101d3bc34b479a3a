// Tests on hand-made times when a group of rollouts counts as slow.
#include "rl/async/straggler_limit.h"

#include <gtest/gtest.h>

namespace terse::rl {
namespace {

StragglerLimit limit_after(std::initializer_list<double> seconds) {
  StragglerLimit limit(0);
  for (const double s : seconds) limit.add(s);
  return limit;
}

TEST(StragglerLimit, IsFiveTimesTheMedian) {
  EXPECT_DOUBLE_EQ(*limit_after({9, 1, 3, 2, 100, 3, 4, 1, 5}).seconds(), 15);
}

TEST(StragglerLimit, IsNeverBelowASecond) {
  EXPECT_DOUBLE_EQ(*limit_after({0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}).seconds(), 1);
}

TEST(StragglerLimit, NeedsEightGroupsToKnowWhatIsUsual) {
  EXPECT_FALSE(limit_after({2, 2, 2, 2, 2, 2, 2}).seconds());
  EXPECT_TRUE(limit_after({2, 2, 2, 2, 2, 2, 2, 2}).seconds());
}

TEST(StragglerLimit, ForgetsAllButTheLastSixtyFour) {
  StragglerLimit limit(0);
  for (int i = 0; i < 32; ++i) limit.add(1);
  for (int i = 0; i < 32; ++i) limit.add(7);
  EXPECT_DOUBLE_EQ(*limit.seconds(), 35) << "of an even number, the upper one";
  for (int i = 0; i < 31; ++i) limit.add(2);
  EXPECT_DOUBLE_EQ(*limit.seconds(), 35) << "one of the first is left";
  for (int i = 0; i < 2; ++i) limit.add(2);
  EXPECT_DOUBLE_EQ(*limit.seconds(), 10);
}

TEST(StragglerLimit, IsWhatTheConfigurationSaysFromTheFirstGroupOn) {
  StragglerLimit limit(0.4);
  EXPECT_EQ(limit.seconds(), 0.4);
  for (int i = 0; i < 8; ++i) limit.add(100);
  EXPECT_EQ(limit.seconds(), 0.4);
}

}  // namespace
}  // namespace terse::rl
