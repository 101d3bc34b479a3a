// Converts between bytes and the printable characters that stand for them in the vocabularies of GPT-2 and its
// successors. There, a space is "Ġ" and a newline "Ċ", so that a vocabulary can be a text file.
//
// The source is bytes_to_unicode() of GPT-2's encoder.py: a byte that is a printable Latin-1 character stands for
// itself. The other 68 bytes stand, in ascending order, for the characters from U+0100 on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace terse::data {

// Returns the character that stands for a byte.
char32_t byte_character(uint8_t byte);
// Returns the text in which each byte is written as its character.
std::string to_byte_characters(std::string_view bytes);
// The reverse. Returns nothing when the text has a character that stands for no byte, or is not UTF-8.
std::optional<std::string> from_byte_characters(std::string_view text);

}  // namespace terse::data
