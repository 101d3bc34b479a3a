// Tests the UTF-8 functions, exhaustively where that is possible.
#include "base/utf8.h"

#include <gtest/gtest.h>

namespace terse {
namespace {

std::string utf8(char32_t character) {
  std::string text;
  append_utf8(text, character);
  return text;
}

TEST(Utf8, EveryCharacterSurvivesTheRoundTrip) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c == 0xD800) c = 0xE000;
    const std::string text = utf8(c);
    const CodePoint point = first_code_point(text + "x");
    ASSERT_EQ(point.value, c);
    ASSERT_EQ(point.length, static_cast<int>(text.size()));
    if (text.size() > 1) {
      ASSERT_EQ(first_code_point(text.substr(0, text.size() - 1) + "x").length, 0) << "cut";
    }
  }
}

// The decoder must accept only the one valid encoding of each character. So the number of three-byte strings that start
// with a character of a given length is known exactly.
TEST(Utf8, AcceptsNothingElseInThreeBytes) {
  int64_t counts[5] = {};
  char bytes[3];
  for (int i = 0; i < 1 << 24; ++i) {
    bytes[0] = static_cast<char>(i >> 16);
    bytes[1] = static_cast<char>(i >> 8);
    bytes[2] = static_cast<char>(i);
    ++counts[first_code_point({bytes, 3}).length];
  }
  EXPECT_EQ(counts[1], 128 * 65536);
  EXPECT_EQ(counts[2], (0x800 - 0x80) * 256);
  EXPECT_EQ(counts[3], 0x10000 - 0x800 - 0x800);  // less the surrogates
  EXPECT_EQ(counts[4], 0);
}

TEST(Utf8, RefusesTheClassicMistakes) {
  for (const std::string bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xFE",
        "\xFF", "\xE2\x82", "\xF0\x9F\x98"}) {
    EXPECT_EQ(first_code_point(bad).length, 0) << printable(bad);
  }
}

TEST(Utf8, PrintableReplacesOnlyWhatIsInvalid) {
  EXPECT_EQ(printable("a\xC3\xA9\xF0\x9F\x98\x80"), "a\xC3\xA9\xF0\x9F\x98\x80");
  EXPECT_EQ(printable("a\xFF"
                      "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(printable("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(printable(""), "");
}

TEST(Utf8, WholeCharactersNeverCutsOne) {
  const std::string text = "a\xC3\xA9z\xE2\x82\xAC\xF0\x9F\x98\x80";
  const std::vector<size_t> expected = {0, 1, 1, 3, 4, 4, 4, 7, 7, 7, 7, 11};
  for (size_t n = 0; n <= text.size(); ++n)
    EXPECT_EQ(whole_characters(std::string_view(text).substr(0, n)), expected[n]);
  EXPECT_EQ(whole_characters("\x80\x80\x80\x80"), 4u) << "nothing to wait for";
}

TEST(Utf8, DescribesCharactersForPeople) {
  EXPECT_EQ(describe_character(0xE9), "'\xC3\xA9' (U+00E9)");
  EXPECT_EQ(describe_character('\n'), "U+000A");
  EXPECT_EQ(describe_character(0x1F600), "'\xF0\x9F\x98\x80' (U+1F600)");
}

TEST(Utf8, TheFirstInvalidByteIsFound) {
  constexpr size_t kGood = std::string_view::npos;
  EXPECT_EQ(find_invalid_utf8("a\u007f\u0080\u07ff\u0800\uffff\U00010000\U0010ffff"), kGood);
  EXPECT_EQ(find_invalid_utf8("ab\xc0\x80"), 2u);        // overlong NUL
  EXPECT_EQ(find_invalid_utf8("\xe0\x80\x80"), 0u);      // overlong
  EXPECT_EQ(find_invalid_utf8("\xed\xa0\x80"), 0u);      // surrogate
  EXPECT_EQ(find_invalid_utf8("\xf4\x90\x80\x80"), 0u);  // beyond U+10FFFF
  EXPECT_EQ(find_invalid_utf8("\xf0\x8f\xbf\xbf"), 0u);  // overlong
  EXPECT_EQ(find_invalid_utf8("a\x80"), 1u);             // continuation without a lead
  EXPECT_EQ(find_invalid_utf8("a\xe2\x82"), 1u);         // cut short
}

}  // namespace
}  // namespace terse
