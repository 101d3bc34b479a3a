// Tests text with marks of origin.
#include "data/chat/jinja/values/text.h"

#include <gtest/gtest.h>

namespace terse::data::jinja {
namespace {

using Runs = std::vector<std::pair<size_t, int64_t>>;  // end, message (-1: the template)

Runs runs(const Text& text) {
  Runs result;
  for (const Run& run : text.runs()) result.emplace_back(run.end, run.origin.message());
  return result;
}

Text sample() {
  Text text("ab");
  text.append("cd", Origin::of_message(0));
  text.append("ef", Origin::of_message(1));
  return text;
}

TEST(Text, JoinsNeighboursOfOneOrigin) {
  Text text = sample();
  text.append("gh", Origin::of_message(1));
  text.append("");
  text.append("", Origin::of_message(5));
  EXPECT_EQ(text.bytes(), "abcdefgh");
  EXPECT_EQ(runs(text), (Runs{{2, -1}, {4, 0}, {8, 1}}));
  EXPECT_TRUE(Text("").runs().empty());
}

TEST(Text, CutsRuns) {
  const Text text = sample();
  EXPECT_EQ(runs(text.slice(1, 5)), (Runs{{1, -1}, {3, 0}, {4, 1}}));
  EXPECT_EQ(runs(text.slice(2, 4)), (Runs{{2, 0}}));
  EXPECT_EQ(runs(text.slice(3, 6)), (Runs{{1, 0}, {3, 1}}));
  EXPECT_EQ(text.slice(1, 5).bytes(), "bcde");
  EXPECT_EQ(text.slice(3, 3).size(), 0u);
  EXPECT_EQ(text.slice(5, 2).size(), 0u);
  Text twice = text;
  twice.append(text, 0, 2);
  EXPECT_EQ(runs(twice), (Runs{{2, -1}, {4, 0}, {6, 1}, {8, -1}}));
}

TEST(Text, KnowsTheOriginOfEveryByte) {
  const Text text = sample();
  EXPECT_EQ(text.origin_at(1).message(), -1);
  EXPECT_EQ(text.origin_at(2).message(), 0);
  EXPECT_EQ(text.origin_at(3).message(), 0);
  EXPECT_EQ(text.origin_at(4).message(), 1);
}

TEST(Text, MarksWhatIsGeneratedFromAPlaceOn) {
  for (size_t begin = 0; begin <= 6; ++begin) {
    Text text = sample();
    text.mark_generated(begin);
    EXPECT_EQ(text.bytes(), "abcdef");
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(text.origin_at(i).is_generated(), i >= begin) << begin;
      EXPECT_EQ(text.origin_at(i).message(), sample().origin_at(i).message()) << begin;
    }
  }
}

TEST(Text, TellsRolesFromInput) {
  EXPECT_FALSE(Origin().is_input());
  EXPECT_FALSE(Origin::of_role(3).is_input());
  EXPECT_EQ(Origin::of_role(3).message(), 3);
  EXPECT_TRUE(Origin::of_message(3).is_input());
  EXPECT_EQ(Origin::of_message(3).message(), 3);
  EXPECT_TRUE(Origin::of_user().is_input());
  EXPECT_EQ(Origin::of_user().message(), -1);
  EXPECT_TRUE(Origin::of_message(3).as_generated().is_generated());
  EXPECT_FALSE(Origin::of_message(3).is_generated());
}

TEST(Text, KeepsMarkupWhenItIsCut) {
  Text text = sample();
  EXPECT_FALSE(text.slice(0, 1).is_markup());
  text.set_markup();
  EXPECT_TRUE(text.slice(0, 1).is_markup());
}

}  // namespace
}  // namespace terse::data::jinja
