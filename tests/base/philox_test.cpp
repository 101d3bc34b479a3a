// Compares Philox with known answers, and checks that different streams and coordinates share no numbers.
#include "base/philox.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace terse {
namespace {

constexpr auto kNoStream = static_cast<RandomStream>(0);

// The known answers come from the authors' Random123 library. Stream 0 does not change the key, so they apply here.
TEST(Philox, GivesTheKnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox(0, kNoStream, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~0ull, kNoStream, ~0ull, ~0ull), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, kNoStream, 0x85a308d3243f6a88, 0x0370734413198a2e),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, KeepsStreamsApart) {
  EXPECT_NE(philox(1, RandomStream::kShuffle, 0, 0), philox(1, RandomStream::kInit, 0, 0));
  EXPECT_NE(philox(1, RandomStream::kShuffle, 0, 0), philox(2, RandomStream::kShuffle, 0, 0));
}

// Computes the blocks of all purposes on a grid of seeds and of both coordinates. The grid includes the bounds between
// the 32-bit halves. No two blocks may be equal.
TEST(Philox, NoTwoPurposesSeedsOrCoordinatesShareABlock) {
  std::set<std::array<uint32_t, 4>> seen;
  size_t blocks = 0;
  const std::vector<uint64_t> seeds = {0, 1, 2, uint64_t{1} << 32, (uint64_t{1} << 32) + 1, uint64_t{1} << 63};
  const std::vector<uint64_t> coordinates = {
      0, 1, 2, 3, (uint64_t{1} << 32) - 1, uint64_t{1} << 32, (uint64_t{1} << 32) + 1, uint64_t{1} << 40, ~uint64_t{0}};
  for (auto stream = static_cast<uint32_t>(RandomStream::kInit); stream <= static_cast<uint32_t>(RandomStream::kForm);
       ++stream) {
    for (const uint64_t seed : seeds) {
      for (const uint64_t a : coordinates) {
        for (const uint64_t b : coordinates) {
          seen.insert(philox(seed, static_cast<RandomStream>(stream), a, b));
          ++blocks;
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), blocks);
}

TEST(Philox, UniformNumbersStayInTheirRange) {
  EXPECT_EQ(uniform01(0), 0.0f);
  EXPECT_LT(uniform01(~0u), 1.0f);
  EXPECT_EQ(uniform_below(0, 7), 0u);
  EXPECT_EQ(uniform_below(~0u, 7), 6u);
  EXPECT_EQ(uniform_below(~0u, 1), 0u);
}

}  // namespace
}  // namespace terse
