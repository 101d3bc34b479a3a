// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace terse {

struct CodePoint {
  char32_t value = 0;
  int length = 0;  // bytes; 0: no valid character starts here
};

// The character at the start of a text that is not empty.
CodePoint first_code_point(std::string_view text);
// Appends a Unicode scalar value.
void append_utf8(std::string& text, char32_t character);
// "'é' (U+00E9)", for messages; control characters by number only.
std::string describe_character(char32_t character);
// Offset of the first byte that is not part of a valid character, or npos.
size_t find_invalid_utf8(std::string_view text);
// The text with every byte that is not part of a valid character replaced by U+FFFD: safe in JSON, logs and HTML.
std::string printable(std::string_view text);
// Largest n <= text.size() that does not cut a valid character in two.
size_t whole_characters(std::string_view text);

}  // namespace terse
