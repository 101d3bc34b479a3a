// Tests that the split follows the content alone.
#include "data/jsonl/content_key.h"

#include <gtest/gtest.h>

#include <string>

namespace terse::data {
namespace {

TEST(ContentKey, TheShareHeldOutIsAboutTheShareAsked) {
  for (const double share : {0.0, 0.05, 0.5, 0.9}) {
    int held_out = 0;
    for (int i = 0; i < 10000; ++i) held_out += is_held_out(content_key(std::to_string(i)), share) ? 1 : 0;
    EXPECT_NEAR(held_out, 10000 * share, 4 * 50) << "four standard deviations at most";
  }
}

TEST(ContentKey, ALargerShareHoldsOutMore) {
  for (int i = 0; i < 1000; ++i) {
    const uint64_t key = content_key(std::to_string(i));
    if (is_held_out(key, 0.1)) {
      EXPECT_TRUE(is_held_out(key, 0.2));
    }
  }
  EXPECT_FALSE(is_held_out(0, 0)) << "nothing is held out with share 0";
  EXPECT_TRUE(is_held_out(0, 1e-9));
  EXPECT_FALSE(is_held_out(~uint64_t{0}, 0.999999));
}

// XXH3_64bits of the reference implementation. A change would move items between the splits of runs that exist.
TEST(ContentKey, IsXxh3) {
  EXPECT_EQ(content_key(""), 0x2D06800538D394C2u);
}

}  // namespace
}  // namespace terse::data
