// Tests distances between words that were counted by hand.
#include "configs/yaml/suggest.h"

#include <gtest/gtest.h>

namespace terse::configs {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndTranspositions) {
  EXPECT_EQ(edit_distance("heads", "heads"), 0u);
  EXPECT_EQ(edit_distance("", "lr"), 2u);
  EXPECT_EQ(edit_distance("head", "heads"), 1u);
  EXPECT_EQ(edit_distance("headss", "heads"), 1u);
  EXPECT_EQ(edit_distance("hexds", "heads"), 1u);
  EXPECT_EQ(edit_distance("haeds", "heads"), 1u);
  EXPECT_EQ(edit_distance("haesd", "heads"), 2u) << "two pairs are exchanged";
  EXPECT_EQ(edit_distance("heasd", "heads"), 1u) << "the last pair";
  EXPECT_EQ(edit_distance("ca", "abc"), 3u) << "no letter moves twice";
  EXPECT_EQ(edit_distance("abcd", "badc"), 2u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(EditDistance, IgnoresCaseAndTheKindOfDash) {
  EXPECT_EQ(edit_distance("Top-K", "top_k"), 0u);
}

}  // namespace
}  // namespace terse::configs
