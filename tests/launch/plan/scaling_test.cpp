// Compares the model of a step with published scaling results, including ones that its constants were not fitted to.
#include <gtest/gtest.h>

#include "tests/support/references/scaling_model.h"

namespace terse::support {
namespace {

configs::Hardware shipped(const ScalingPoint& point) {
  return configs::load_hardware(point.machine);
}

TEST(PlanScaling, HeldOutPointsAreForeseenWithinTwoPointsOnAverageAndFiveAtWorst) {
  const Errors errors = errors_of(Role::kHeldOut, shipped);
  EXPECT_GE(errors.count, 8);
  EXPECT_LE(errors.mean, 2);
  EXPECT_LE(errors.worst, 5);
}

TEST(PlanScaling, FittedPointsAreMetAsWell) {
  const Errors errors = errors_of(Role::kFit, shipped);
  EXPECT_LE(errors.mean, 2);
  EXPECT_LE(errors.worst, 5);
}

}  // namespace
}  // namespace terse::support
