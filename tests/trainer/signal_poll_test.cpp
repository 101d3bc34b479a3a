// A process alone: what was asked for is found, once or until it is taken. Several ranks:
// tests/launch/ranks_stop_test.py.
#include "trainer/signal_poll.h"

#include <gtest/gtest.h>

namespace terse::trainer {
namespace {

class SignalPollTest : public ::testing::Test {
 protected:
  Interrupts interrupts_;
  std::unique_ptr<World> world_ = World::start({});
  SignalPoll poll_{&interrupts_, *world_, torch::kCPU};
};

TEST_F(SignalPollTest, WithoutARequestWorkGoesOn) {
  EXPECT_TRUE(poll_.meet(true));
  EXPECT_FALSE(poll_.meet(false));
  EXPECT_EQ(poll_.take(), Interrupt::kNone);
  int looks = 0;
  poll_.during([&](const std::function<void()>& look) {
    for (; looks < 3; ++looks) look();
  });
  EXPECT_EQ(looks, 3);
}

TEST_F(SignalPollTest, AStopIsFoundAgainAndAgainUntilItIsTaken) {
  interrupts_.request(Interrupt::kSaveAndStop);
  EXPECT_THROW(poll_.meet(true), StopRequested);
  EXPECT_THROW(poll_.meet(false), StopRequested);
  EXPECT_EQ(poll_.take(), Interrupt::kSaveAndStop);
  EXPECT_FALSE(poll_.meet(false));
}

TEST_F(SignalPollTest, ASaveWaitsForTheEndOfAnEvaluation) {
  interrupts_.request(Interrupt::kSaveAndContinue);
  EXPECT_TRUE(poll_.meet(true));
  EXPECT_EQ(poll_.take(), Interrupt::kSaveAndContinue);
}

TEST_F(SignalPollTest, WorkIsGivenUpAtTheLookThatFindsAStop) {
  int looks = 0;
  EXPECT_THROW(poll_.during([&](const std::function<void()>& look) {
    for (;; ++looks) {
      if (looks == 2) interrupts_.request(Interrupt::kSaveAndStop);
      look();
    }
  }),
               StopRequested);
  EXPECT_EQ(looks, 2);
}

TEST_F(SignalPollTest, WithoutInterruptsNothingIsEverAskedFor) {
  SignalPoll none(nullptr, *world_, torch::kCPU);
  EXPECT_FALSE(none.meet(false));
  EXPECT_EQ(none.take(), Interrupt::kNone);
  EXPECT_FALSE(none.stop_requested());
}

}  // namespace
}  // namespace terse::trainer
