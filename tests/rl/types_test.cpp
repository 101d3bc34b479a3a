// Tests how turns and lengths follow from which tokens of a rollout the policy sampled.
#include "rl/types.h"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

namespace terse::rl {
namespace {

using Spans = std::vector<std::tuple<int64_t, int64_t, bool>>;

Spans turns_of(std::vector<uint8_t> sampled, size_t tokens) {
  Rollout rollout;
  rollout.tokens.resize(tokens);
  rollout.sampled = std::move(sampled);
  Spans spans;
  for (const Turn& turn : rollout.turns()) spans.emplace_back(turn.begin, turn.end, turn.sampled);
  return spans;
}

TEST(Rollout, TurnsAreRunsOfTokens) {
  EXPECT_EQ(turns_of({}, 4), (Spans{{0, 4, true}}));
  EXPECT_EQ(turns_of({1, 1, 0, 0, 0, 1}, 6), (Spans{{0, 2, true}, {2, 5, false}, {5, 6, true}}));
  EXPECT_EQ(turns_of({0, 1}, 2), (Spans{{0, 1, false}, {1, 2, true}}));
  EXPECT_EQ(turns_of({}, 0), Spans{});
}

TEST(Rollout, ItsLengthIsTheNumberOfSampledTokens) {
  Rollout rollout;
  rollout.tokens = {5, 6, 7, 8};
  EXPECT_EQ(rollout.length(), 4);
  rollout.sampled = {1, 0, 0, 1};
  EXPECT_EQ(rollout.length(), 2);
  EXPECT_TRUE(rollout.is_sampled(3));
  EXPECT_FALSE(rollout.is_sampled(2));
}

}  // namespace
}  // namespace terse::rl
