// Encodes and decodes strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace terse {

struct CodePoint {
  char32_t value = 0;
  int length = 0;  // bytes; 0: no valid character starts here
};

// Returns the character at the start of a text that is not empty.
CodePoint first_code_point(std::string_view text);
// Appends a Unicode scalar value.
void append_utf8(std::string& text, char32_t character);
// Returns "'é' (U+00E9)" for messages. For a control character it returns only the number.
std::string describe_character(char32_t character);
// Returns the offset of the first byte that is not part of a valid character, or npos.
size_t find_invalid_utf8(std::string_view text);
// Returns the text with U+FFFD in place of every byte that is not part of a valid character. The result can be written
// to JSON, logs and HTML.
std::string printable(std::string_view text);
// Returns the largest n <= text.size() such that text[0, n) does not end inside a character.
size_t whole_characters(std::string_view text);

}  // namespace terse
