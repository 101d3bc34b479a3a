// Tests the behaviours of splits by the examples of the library's documentation, and boundaries.
#include "data/tokenizers/split/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace terse::data {
namespace {

using ::testing::ElementsAre;

SplitStep step(const char* pattern, SplitBehavior behavior, bool invert = false) {
  SplitStep result;
  result.pattern = std::make_shared<Pattern>(pattern, Pattern::Syntax::kRegex);
  result.behavior = behavior;
  result.invert = invert;
  return result;
}

std::vector<std::string> pieces(std::vector<SplitStep> steps, std::string_view text) {
  std::vector<std::string> result;
  PreTokenizer(std::move(steps)).split(text, [&](std::string_view piece) { result.emplace_back(piece); });
  return result;
}

TEST(PreTokenizer, BehavesAsTheLibraryDocuments) {
  const char* text = "the-final--countdown";
  EXPECT_THAT(pieces({step("-", SplitBehavior::kRemoved)}, text), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(pieces({step("-", SplitBehavior::kIsolated)}, text),
              ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(pieces({step("-", SplitBehavior::kMergedWithPrevious)}, text),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(pieces({step("-", SplitBehavior::kMergedWithNext)}, text),
              ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(pieces({step("-", SplitBehavior::kContiguous)}, text),
              ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(pieces({step("[a-z]+", SplitBehavior::kRemoved, true)}, text), ElementsAre("the", "final", "countdown"));
}

TEST(PreTokenizer, NumbersAreThoseOfUnicode) {
  SplitStep digits;
  EXPECT_THAT(pieces({digits}, "a12\u0661\u00bdb"), ElementsAre("a", "1", "2", "\u0661", "\u00bd", "b"));
  digits.behavior = SplitBehavior::kContiguous;
  EXPECT_THAT(pieces({digits}, "a12\u0661b"), ElementsAre("a", "12\u0661", "b"));
}

TEST(PreTokenizer, StepsCutThePiecesBeforeThem) {
  SplitStep prefix;
  prefix.prefix_space = prefix.whole = true;
  EXPECT_THAT(pieces({step(",", SplitBehavior::kIsolated), prefix}, "a, b"), ElementsAre(" a", " ,", " b"));
  EXPECT_THAT(pieces({}, "all"), ElementsAre("all"));
  EXPECT_THAT(pieces({step(",", SplitBehavior::kIsolated)}, ""), ElementsAre());
}

TEST(PreTokenizer, BoundariesAreTheLastThatAreSure) {
  const auto always = [](size_t) { return true; };
  const PreTokenizer words({step(" ?[a-z]+| +", SplitBehavior::kIsolated)});
  EXPECT_EQ(words.last_boundary("one two thr", always), 7u);
  EXPECT_EQ(words.last_boundary("one two", [](size_t at) { return at != 3; }), 0u);
  EXPECT_EQ(words.last_boundary("word", always), 0u);
  EXPECT_EQ(PreTokenizer({SplitStep(), step(" ?[a-z]+", SplitBehavior::kIsolated)}).last_boundary("a b1c d e", always),
            7u);
  EXPECT_EQ(PreTokenizer({step("(?<=a)b", SplitBehavior::kIsolated)}).last_boundary("abab", always), 0u);
  EXPECT_EQ(PreTokenizer({step(",", SplitBehavior::kMergedWithNext)}).last_boundary("a,b,c", always), 0u);
}

TEST(PreTokenizer, APatternThatIsTooHardIsAnError) {
  EXPECT_THROW(pieces({step("(?:a+)+[b-d]", SplitBehavior::kIsolated)}, std::string(5000, 'a')), PatternError);
}

}  // namespace
}  // namespace terse::data
