// How often work is repeated, and that a speed is plausible. No test depends on a speed.
#include "trainer/speed/matmul_speed.h"

#include <gtest/gtest.h>

#include "trainer/speed/timing.h"

namespace terse::trainer {
namespace {

TEST(TimeRepeated, RunsOnceMoreThanItCountsAndAtLeastAsOftenAsAsked) {
  int runs = 0;
  const Repeated times = time_repeated(0, 5, [&] { ++runs; });
  EXPECT_EQ(runs, 6);
  EXPECT_GE(times.fastest, 0);
  EXPECT_GE(times.median, times.fastest);
}

TEST(MatmulSpeed, IsThatOfAComputer) {
  for (const torch::ScalarType dtype : {torch::kFloat32, torch::kBFloat16}) {
    const double speed = matmul_speed(torch::kCPU, dtype, 0.001);
    EXPECT_GT(speed, 1e7);
    EXPECT_LT(speed, 1e15);
  }
}

}  // namespace
}  // namespace terse::trainer
