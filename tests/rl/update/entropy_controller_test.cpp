// Tests when, how fast and how far the weight of the entropy bonus rises and falls, and that it survives a resume.
#include "rl/update/entropy_controller.h"

#include <gtest/gtest.h>

namespace terse::rl {
namespace {

constexpr double kBase = 0.004;

TEST(EntropyController, BeginsAtTheConfiguredWeight) {
  EXPECT_EQ(EntropyController(kBase).weight(), kBase);
}

TEST(EntropyController, RisesByATwentiethBelowAHundredthOfANat) {
  EntropyController controller(kBase);
  controller.observe(0.0099);
  EXPECT_DOUBLE_EQ(controller.weight(), 1.05 * kBase);
  controller.observe(0);
  EXPECT_DOUBLE_EQ(controller.weight(), 1.05 * 1.05 * kBase);
}

TEST(EntropyController, FallsByTheSameFactorFromAHundredthOfANatOn) {
  EntropyController controller(kBase);
  for (int i = 0; i < 3; ++i) controller.observe(0);
  controller.observe(0.01);
  EXPECT_DOUBLE_EQ(controller.weight(), 1.05 * 1.05 * kBase);
  controller.observe(2);
  EXPECT_DOUBLE_EQ(controller.weight(), 1.05 * kBase);
}

TEST(EntropyController, StaysBetweenTheConfiguredWeightAndTenTimesIt) {
  EntropyController controller(kBase);
  for (int i = 0; i < 100; ++i) controller.observe(0);
  EXPECT_DOUBLE_EQ(controller.weight(), 10 * kBase);
  for (int i = 0; i < 100; ++i) controller.observe(1);
  EXPECT_DOUBLE_EQ(controller.weight(), kBase);
}

TEST(EntropyController, AWeightOfZeroSwitchesItOff) {
  EntropyController controller(0);
  controller.observe(0);
  EXPECT_EQ(controller.weight(), 0);
}

TEST(EntropyController, GoesOnWhereItStoodAfterAResume) {
  EntropyController stopped(kBase), resumed(kBase);
  for (int i = 0; i < 5; ++i) stopped.observe(0);
  resumed.restore(stopped.state());
  EXPECT_EQ(resumed.weight(), stopped.weight());
  stopped.observe(0);
  resumed.observe(0);
  EXPECT_EQ(resumed.weight(), stopped.weight());
}

}  // namespace
}  // namespace terse::rl
