// Tests that a permutation is a bijection, depends on seed and epoch, and is close to uniform.
#include "data/permutation.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace terse::data {
namespace {

std::vector<int64_t> order(uint64_t seed, uint64_t epoch, int64_t n) {
  const Permutation permutation(seed, epoch, n);
  std::vector<int64_t> result;
  for (int64_t i = 0; i < n; ++i) result.push_back(permutation(i));
  return result;
}

TEST(Permutation, IsABijection) {
  for (int64_t n = 1; n < 300; ++n) {
    std::vector<bool> seen(n);
    for (const int64_t element : order(7, n % 5, n)) {
      ASSERT_GE(element, 0);
      ASSERT_LT(element, n);
      ASSERT_FALSE(seen[element]) << "n " << n << " element " << element;
      seen[element] = true;
    }
  }
}

TEST(Permutation, IsABijectionAroundPowersOfTwo) {
  for (const int64_t n : {1023, 1024, 1025, 65535, 65536, 65537}) {
    std::vector<bool> seen(n);
    for (const int64_t element : order(1, 0, n)) {
      ASSERT_FALSE(seen.at(element));
      seen[element] = true;
    }
  }
}

TEST(Permutation, StaysInAHugeRange) {
  for (const int64_t n : {int64_t{1} << 33, (int64_t{1} << 40) + 1, int64_t{1} << 62}) {
    const Permutation permutation(3, 9, n);
    for (const int64_t i : {int64_t{0}, n / 2, n - 1}) {
      EXPECT_GE(permutation(i), 0);
      EXPECT_LT(permutation(i), n);
    }
  }
}

TEST(Permutation, DependsOnSeedAndEpoch) {
  EXPECT_EQ(order(1, 0, 100), order(1, 0, 100));
  EXPECT_NE(order(1, 0, 100), order(2, 0, 100));
  EXPECT_NE(order(1, 0, 100), order(1, 1, 100));
  EXPECT_NE(order(uint64_t{1} << 40, 0, 100), order(0, 0, 100));
}

// Five elements have 120 orders. With 24,000 seeds each order is expected 200 times, with a standard deviation of 14.
TEST(Permutation, ReachesEveryOrderOfASmallRangeAboutEquallyOften) {
  std::map<std::vector<int64_t>, int> counts;
  for (uint64_t seed = 0; seed < 24000; ++seed) ++counts[order(seed, 0, 5)];
  ASSERT_EQ(counts.size(), 120u);
  for (const auto& [found, count] : counts) {
    EXPECT_GT(count, 200 - 75);
    EXPECT_LT(count, 200 + 75);
  }
}

TEST(Permutation, RefusesWhatIsOutOfRange) {
  EXPECT_THROW(Permutation(1, 0, 0), std::invalid_argument);
  EXPECT_THROW(Permutation(1, 0, -4), std::invalid_argument);
  EXPECT_THROW(Permutation(1, 0, 4)(4), std::out_of_range);
  EXPECT_THROW(Permutation(1, 0, 4)(-1), std::out_of_range);
}

}  // namespace
}  // namespace terse::data
