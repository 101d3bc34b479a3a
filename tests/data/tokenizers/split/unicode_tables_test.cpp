// Tests classes of characters at their ends, and characters of new versions of Unicode.
#include "data/tokenizers/split/unicode_tables.h"

#include <gtest/gtest.h>

namespace terse::data {
namespace {

TEST(UnicodeTables, WhiteSpaceHas25Characters) {
  int count = 0;
  for (char32_t c = 0; c < 0x110000; ++c) count += is_white_space(c) ? 1 : 0;
  EXPECT_EQ(count, 25);
  EXPECT_TRUE(is_white_space(0x3000));
  EXPECT_FALSE(is_white_space(0x180E) || is_white_space(0x200B) || is_white_space(0xFEFF));
}

TEST(UnicodeTables, NumbersAreAsManyAsInUnicode17) {
  int count = 0;
  for (char32_t c = 0; c < 0x110000; ++c) count += is_numeric(c) ? 1 : 0;
  EXPECT_EQ(count, 1924) << "the library's Digits finds as many";
  EXPECT_TRUE(is_numeric(0x10D40) && is_numeric(0x11DE0) && is_numeric(0x2160));
  EXPECT_FALSE(is_numeric('a') || is_numeric(0x4E00));
}

TEST(UnicodeTables, WordsHaveLettersMarksDigitsAndJoiners) {
  for (const char32_t c : {U'a', U'0', U'_', char32_t{0xE9}, char32_t{0x301}, char32_t{0x200D}, char32_t{0x24B6},
                           char32_t{0x2160}, char32_t{0x31350}, char32_t{0x203F}}) {
    EXPECT_TRUE(is_word_character(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U' ', U'-', U'<', char32_t{0xBD}, char32_t{0x1F600}, char32_t{0xE000}}) {
    EXPECT_FALSE(is_word_character(c)) << static_cast<uint32_t>(c);
  }
}

TEST(UnicodeTables, CategoriesHaveOneOrTwoLetters) {
  EXPECT_TRUE(category_class("Lu").starts_with("\\p{Lu}\\x{1C89}-\\x{1C89}"));
  EXPECT_TRUE(category_class("Zs") == "\\p{Zs}");
  for (const char* name : {"", "Xx", "Han", "l", "Lux"}) EXPECT_EQ(category_class(name), "") << name;
  EXPECT_TRUE(is_after_unicode_14(0x31350) && is_after_unicode_14(0x897) && is_after_unicode_14(0x323AF));
  EXPECT_FALSE(is_after_unicode_14(0x896) || is_after_unicode_14(0x323B0) || is_after_unicode_14('a'));
}

}  // namespace
}  // namespace terse::data
