// Tests that decoding returns the encoded messages, and refuses truncated ones.
#include "rl/async/rollout_messages.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace terse::rl {
namespace {

TEST(RolloutMessages, InstructionsComeAsTheyWent) {
  const Instruction given{Instruction::Kind::kGenerate, 7, 123, int64_t{1} << 33, "saved at step 4"};
  const std::string bytes = encode(given);
  const Instruction got = decode_instruction(bytes);
  EXPECT_EQ(got.kind, given.kind);
  EXPECT_EQ(got.version, given.version);
  EXPECT_EQ(got.ticket, given.ticket);
  EXPECT_EQ(got.problem, given.problem);
  EXPECT_EQ(got.text, given.text);
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_THROW(decode_instruction(std::string_view(bytes).substr(0, length)), std::logic_error);
}

TEST(RolloutMessages, ReportsComeAsTheyWent) {
  Report given;
  given.ticket = 5;
  given.rollouts.resize(2);
  given.rollouts[1].tokens = {1, 2, 3};
  const Report got = decode_report(encode(given));
  EXPECT_EQ(got.ticket, 5);
  ASSERT_EQ(got.rollouts.size(), 2u);
  EXPECT_EQ(got.rollouts[1].tokens, given.rollouts[1].tokens);
  EXPECT_EQ(decode_report(encode(Report())).ticket, -1);
  EXPECT_THROW(decode_report("abc"), std::logic_error);
}

}  // namespace
}  // namespace terse::rl
