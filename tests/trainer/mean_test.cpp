// Checks means of no values: as metrics, in JSON and as a score.
#include "trainer/mean.h"

#include <gtest/gtest.h>

#include <cmath>

namespace terse::trainer {
namespace {

TEST(Mean, IsTheSumDividedByTheNumberOfValues) {
  Mean mean;
  for (const double value : {1.0, 2.0, 6.0}) mean.add(value);
  EXPECT_EQ(mean.value(), 3.0);
  EXPECT_EQ(mean_of(0, 4), 0.0) << "a mean of zeros is 0";
}

TEST(Mean, OverNothingIsNothing) {
  EXPECT_EQ(Mean().value(), std::nullopt);
  EXPECT_EQ(mean_of(0, 0), std::nullopt);
}

TEST(Mean, OverNothingIsLeftOutOfMetricsAndNullInJson) {
  const std::map<std::string, double> metrics = present({{"loss", mean_of(6, 3)}, {"entropy", Mean().value()}});
  EXPECT_EQ(metrics, (std::map<std::string, double>{{"loss", 2.0}}));
  EXPECT_EQ(or_null(mean_of(6, 3)), nlohmann::json(2.0));
  EXPECT_TRUE(or_null(std::nullopt).is_null());
  EXPECT_EQ(value_in(nlohmann::json(2.0)), 2.0);
  EXPECT_EQ(value_in(nullptr), std::nullopt);
}

TEST(Mean, OverNothingIsNeverTheBestScore) {
  EXPECT_EQ(score_of(0.25), 0.25);
  EXPECT_TRUE(std::isnan(score_of(std::nullopt)));
}

}  // namespace
}  // namespace terse::trainer
