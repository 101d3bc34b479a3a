// Tests matching: what is found, where text may go on, and what is refused.
#include "data/tokenizers/split/pattern.h"

#include <gmock/gmock.h>

#include "data/tokenizers/hf/patterns.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> matches(const std::string& pattern, const std::string& text,
                                 Pattern::Syntax syntax = Pattern::Syntax::kRegex) {
  const Pattern compiled(pattern, syntax);
  Matcher matcher(compiled);
  std::vector<std::string> found;
  for (size_t at = 0; at < text.size() && matcher.find(text, at) == Matcher::Outcome::kMatch; at = matcher.end()) {
    found.push_back(text.substr(matcher.begin(), matcher.end() - matcher.begin()));
  }
  return found;
}

std::string refused(const std::string& pattern) {
  return message_of<std::invalid_argument>([&] { Pattern(pattern, Pattern::Syntax::kRegex); });
}

TEST(Pattern, CutsAsTheModelsDo) {
  EXPECT_THAT(matches(kGpt2Pattern, "I'll  go 123\n\n x"), ElementsAre("I", "'ll", " ", " go", " 123", "\n\n", " x"));
  EXPECT_THAT(matches(kLlama3Pattern, "I'LL go 12345!\n\n x"),
              ElementsAre("I", "'LL", " go", " ", "123", "45", "!\n\n", " x"));
  EXPECT_THAT(matches(kQwen2Pattern, "a 12"), ElementsAre("a", " ", "1", "2"));
  EXPECT_THAT(matches(kTekkenPattern, "HelloWorld"), ElementsAre("Hello", "World"));
}

TEST(Pattern, MeansWhatOnigurumaMeans) {
  EXPECT_THAT(matches("^b|a$", "a\nb"), ElementsAre("a", "b")) << "at every line";
  EXPECT_THAT(matches("\\s", "\u180e\u00a0"), ElementsAre("\u00a0")) << "U+180E is no white space";
  EXPECT_THAT(matches("\\S", "\u180e\u00a0"), ElementsAre("\u180e"));
  EXPECT_THAT(matches("a{,2}b", "aaab"), ElementsAre("aab"));
  EXPECT_THAT(matches("\\v", "\v\n"), ElementsAre("\v"));
  EXPECT_THAT(matches("(?i:'s)", "'S's'\u017f"), ElementsAre("'S", "'s", "'\u017f"));
  EXPECT_THAT(matches("[\\p{L}]+", "a\U00031350b"), ElementsAre("a\U00031350b")) << "a letter of Unicode 15";
  EXPECT_THAT(matches("\\p{N}", "\U00010d40"), ElementsAre("\U00010d40")) << "a digit of Unicode 16";
  EXPECT_THAT(matches("[^\\p{L}]", "\U00031350."), ElementsAre("."));
  EXPECT_THAT(matches(".", "\n\ra"), ElementsAre("\r", "a"));
  EXPECT_THAT(matches("a.b(", "a.b(axb(", Pattern::Syntax::kLiteral), ElementsAre("a.b("));
  EXPECT_THAT(matches("[a\\-z]", "amz-"), ElementsAre("a", "z", "-"));
  EXPECT_THAT(matches("[+-]", "+,-"), ElementsAre("+", "-"));
  EXPECT_THAT(matches("(a|b)(?:c)", "acbc"), ElementsAre("ac", "bc"));
  EXPECT_THAT(matches("\\x41\\u00e9\\x{1F600}", "A\u00e9\U0001f600"), ElementsAre("A\u00e9\U0001f600"));
}

TEST(Pattern, SeesWhereTextMayGoOn) {
  const Pattern pattern(kGpt2Pattern, Pattern::Syntax::kRegex);
  Matcher matcher(pattern);
  EXPECT_EQ(matcher.find("one two", 0, Matcher::End::kOpen), Matcher::Outcome::kMatch);
  EXPECT_EQ(matcher.end(), 3u);
  EXPECT_EQ(matcher.find("one two", 3, Matcher::End::kOpen), Matcher::Outcome::kOpen);
  EXPECT_EQ(matcher.begin(), 3u);
  EXPECT_EQ(matcher.find("one two", 3), Matcher::Outcome::kMatch);
  EXPECT_EQ(matcher.find("", 0), Matcher::Outcome::kNone);
}

TEST(Pattern, KnowsWhetherItLooksBack) {
  const auto looks_back = [](const char* pattern) { return Pattern(pattern, Pattern::Syntax::kRegex).looks_back(); };
  EXPECT_TRUE(looks_back("(?<=a)b"));
  EXPECT_TRUE(looks_back("(?<!a)b"));
  EXPECT_TRUE(looks_back("^b"));
  EXPECT_TRUE(looks_back("\\Ab"));
  EXPECT_FALSE(looks_back(kLlama3Pattern));
  EXPECT_FALSE(looks_back("b$"));
}

TEST(Pattern, AHardPatternEnds) {
  const Pattern pattern("(?:a+)+[b-d]", Pattern::Syntax::kRegex);
  Matcher matcher(pattern);
  EXPECT_EQ(matcher.find(std::string(5000, 'a'), 0), Matcher::Outcome::kTooHard);
  EXPECT_EQ(matcher.find("aab", 0), Matcher::Outcome::kMatch) << "the limit is that of one search";
}

TEST(Pattern, AMillionSpacesAreOneMatch) {
  const std::string spaces(1 << 20, ' ');
  for (const char* pattern : {kGpt2Pattern, kLlama3Pattern, kQwen2Pattern, kTekkenPattern}) {
    EXPECT_EQ(matches(pattern, spaces).size(), 1u) << pattern;
  }
}

TEST(Pattern, RefusesWhatItDoesNotSupport) {
  EXPECT_THAT(refused("a\\wb"), HasSubstr("\"\\w\" at byte 1 of the pattern is an escape that is not supported"));
  EXPECT_THAT(refused("\\bword"), HasSubstr("is an escape that is not supported"));
  EXPECT_THAT(refused("(a)\\1"), HasSubstr("is an escape that is not supported"));
  EXPECT_THAT(refused("\\p{Han}"), HasSubstr("is a property that is not supported"));
  EXPECT_THAT(refused("\\pL"), HasSubstr("is not a property"));
  EXPECT_THAT(refused("(?m)a"), HasSubstr("a kind of group that is not supported"));
  EXPECT_THAT(refused("(?<name>a)"), HasSubstr("a kind of group that is not supported"));
  EXPECT_THAT(refused("(*VERB)a"), HasSubstr("a kind of group that is not supported"));
  EXPECT_THAT(refused("[a[b]]"), HasSubstr("opens a class inside a class"));
  EXPECT_THAT(refused("[a&&b]"), HasSubstr("is an intersection"));
  EXPECT_THAT(refused("[^\\S]"), HasSubstr("is not supported inside a class"));
  EXPECT_THAT(refused("[\\s-a]"), HasSubstr("follows a set of characters"));
  EXPECT_THAT(refused("[a-\\s]"), HasSubstr("is no end of a range"));
  EXPECT_THAT(refused("[]a]"), HasSubstr("is the first of a class"));
  EXPECT_THAT(refused("[abc"), HasSubstr("has no ]"));
  EXPECT_THAT(refused("a{2}+"), HasSubstr("repeats a repetition"));
  EXPECT_THAT(refused("a{x}"), HasSubstr("is not a number of repetitions"));
  EXPECT_THAT(refused("*a"), HasSubstr("follows nothing that can be repeated"));
  EXPECT_THAT(refused("(?i:ss)"), HasSubstr("makes a pair with the letter before it"));
  EXPECT_THAT(refused("(?i:\u00e9)"), HasSubstr("without regard to case"));
  EXPECT_THAT(refused("\\xE9"), HasSubstr("is not a character"));
  EXPECT_THAT(refused("\\x{D800}"), HasSubstr("is not a character"));
  EXPECT_THAT(refused("a\\"), HasSubstr("stands alone at the end"));
  EXPECT_THAT(refused("a\xFF"), HasSubstr("is not UTF-8"));
  EXPECT_THAT(refused("(a"), HasSubstr("PCRE2 refuses the pattern"));
  EXPECT_THAT(refused("a)"), HasSubstr("PCRE2 refuses the pattern"));
  EXPECT_THAT(refused("[b-a]"), HasSubstr("PCRE2 refuses the pattern"));
  EXPECT_THAT(refused("a*"), HasSubstr("can match the empty text"));
  EXPECT_THAT(refused(""), HasSubstr("can match the empty text"));
  EXPECT_THAT(refused(std::string(8193, 'a')), HasSubstr("8193 bytes"));
  EXPECT_THAT(refused(std::string(200, '(') + "a" + std::string(200, ')')), HasSubstr("PCRE2 refuses the pattern"));
  EXPECT_THAT(refused("(?:(?:[^x]{1000}){1000}){1000}"), HasSubstr("PCRE2 refuses the pattern"));
}

}  // namespace
}  // namespace terse::data
