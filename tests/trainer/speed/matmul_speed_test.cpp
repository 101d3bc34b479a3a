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
  const MatmulSpeed measured = measure_matmul(torch::kCPU, 0.001);
  for (const double speed : {measured.fp32, measured.bf16, matmul_speed_of_model(torch::kCPU, true, 0.001)}) {
    EXPECT_GT(speed, 1e7);
    EXPECT_LT(speed, 1e15);
  }
}

TEST(MatmulSpeed, ABf16ModelIsComparedWithTheFasterDtype) {
  EXPECT_EQ((MatmulSpeed{3, 2}.of_model(true)), 3);
  EXPECT_EQ((MatmulSpeed{3, 4}.of_model(true)), 4);
  EXPECT_EQ((MatmulSpeed{3, 4}.of_model(false)), 3);
}

}  // namespace
}  // namespace terse::trainer
