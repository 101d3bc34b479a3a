// Tests that decoding returns the encoded rollouts bit for bit, and refuses truncated bytes.
#include "rl/rollout/rollout_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace terse::rl {
namespace {

std::vector<Rollout> example() {
  Rollout full;
  full.sample = 3;
  full.tokens = {5, -1, std::numeric_limits<int32_t>::max()};
  full.sampled = {1, 0, 1};
  full.logprobs = {-0.1f, -0.0f, -std::numeric_limits<float>::infinity()};
  full.entropies = {0.5f, 1e-30f, 2.0f};
  full.versions = {3, int64_t{1} << 40};
  full.finish = FinishReason::kLength;
  full.status = VerifyStatus::kTimeout;
  full.correct = true;
  full.score = 0.25;
  full.parts = {{"format", 1.0}, {"answer", -0.5}};
  full.form = "states";
  return {full, Rollout(), full};
}

TEST(RolloutCodec, GivesBackWhatItWasGiven) {
  const std::vector<Rollout> given = example(), got = decode_rollouts(encode_rollouts(given));
  ASSERT_EQ(got.size(), given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    EXPECT_EQ(got[i].sample, given[i].sample);
    EXPECT_EQ(got[i].tokens, given[i].tokens);
    EXPECT_EQ(got[i].sampled, given[i].sampled);
    EXPECT_EQ(got[i].logprobs, given[i].logprobs);
    EXPECT_EQ(got[i].entropies, given[i].entropies);
    EXPECT_EQ(got[i].versions, given[i].versions);
    EXPECT_EQ(got[i].finish, given[i].finish);
    EXPECT_EQ(got[i].status, given[i].status);
    EXPECT_EQ(got[i].correct, given[i].correct);
    EXPECT_EQ(got[i].score, given[i].score);
    EXPECT_EQ(got[i].parts, given[i].parts);
    EXPECT_EQ(got[i].form, given[i].form);
  }
  EXPECT_TRUE(std::signbit(got[0].logprobs[1]));
  EXPECT_TRUE(decode_rollouts("").empty());
}

TEST(RolloutCodec, RefusesWhatIsCutShort) {
  const std::string bytes = encode_rollouts(example());
  const size_t first = encode_rollouts({example()[0]}).size(), second = first + encode_rollouts({Rollout()}).size();
  for (size_t length = 1; length < bytes.size(); ++length) {
    if (length == first || length == second) continue;  // ends after a whole rollout
    EXPECT_THROW(decode_rollouts(std::string_view(bytes).substr(0, length)), std::logic_error) << length;
  }
  std::string huge = bytes;
  const uint64_t count = std::numeric_limits<uint64_t>::max() / 2;
  std::memcpy(huge.data() + sizeof(int64_t), &count, sizeof(count));
  EXPECT_THROW(decode_rollouts(huge), std::logic_error);
}

}  // namespace
}  // namespace terse::rl
