// Answers which Unicode class a character belongs to, as of Unicode 16.
//
// PCRE2 10.42 and utf8proc 2.8 know Unicode 14 and 15. The `tokenizers` library knows Unicode 16, so that a letter of a
// newer script is a letter there, and a word goes on. A table here has the characters that came after Unicode 14.
#pragma once

#include <string>
#include <string_view>

namespace terse::data {

// White_Space of the Unicode Character Database (PropList.txt): 25 characters, U+180E is not one of them.
bool is_white_space(char32_t c);
// General category N (Nd, Nl, No). It also has the numbers of Unicode 17, which the library's `Digits` step knows.
bool is_numeric(char32_t c);
// \w of a regular expression (UTS 18, annex C): alphabetic, a mark, a decimal digit, connector punctuation or a joiner.
bool is_word_character(char32_t c);

// Whether Unicode 15, 15.1 or 16 added the character.
bool is_after_unicode_14(char32_t c);

// The ranges of is_white_space() for the inside of a character class of a regular expression.
std::string_view white_space_class();
// Returns the inside of a character class that matches a general category: `category` is one letter, e.g. "L", or two,
// e.g. "Lu". Returns an empty string when there is no such category.
std::string category_class(std::string_view category);

}  // namespace terse::data
