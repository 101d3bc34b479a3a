// Decodes one character at a time, by the table of well-formed byte sequences (Unicode 15, table 3-7).
#include "base/utf8.h"

#include <fmt/format.h>

namespace terse {

namespace {

// The first byte of a character determines its length in bytes and the range of its second byte. Length 0: no character
// starts with this byte.
struct Lead {
  int length;
  uint8_t low;
  uint8_t high;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};  // a continuation byte, or the start of an overlong form
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};  // larger second bytes would encode surrogates
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};  // larger second bytes would exceed U+10FFFF
  return {0, 0, 0};
}

uint8_t at(std::string_view text, size_t i) {
  return static_cast<uint8_t>(text[i]);
}

}  // namespace

CodePoint first_code_point(std::string_view text) {
  const Lead lead = lead_of(at(text, 0));
  if (lead.length == 1) return {at(text, 0), 1};
  if (lead.length == 0 || text.size() < static_cast<size_t>(lead.length)) return {};
  if (at(text, 1) < lead.low || at(text, 1) > lead.high) return {};
  char32_t value = at(text, 0) & (0x7Fu >> lead.length);
  for (int i = 1; i < lead.length; ++i) {
    if ((at(text, i) & 0xC0) != 0x80) return {};
    value = value << 6 | (at(text, i) & 0x3Fu);
  }
  return {value, lead.length};
}

void append_utf8(std::string& text, char32_t character) {
  const auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
  if (character < 0x80) {
    put(character);
  } else if (character < 0x800) {
    put(0xC0 | character >> 6);
    put(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    put(0xE0 | character >> 12);
    put(0x80 | (character >> 6 & 0x3F));
    put(0x80 | (character & 0x3F));
  } else {
    put(0xF0 | character >> 18);
    put(0x80 | (character >> 12 & 0x3F));
    put(0x80 | (character >> 6 & 0x3F));
    put(0x80 | (character & 0x3F));
  }
}

std::string describe_character(char32_t character) {
  const std::string number = fmt::format("U+{:04X}", static_cast<uint32_t>(character));
  const bool control = character < 0x20 || (character >= 0x7F && character < 0xA0);
  if (control) return number;
  std::string text;
  append_utf8(text, character);
  return fmt::format("'{}' ({})", text, number);
}

size_t find_invalid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const int length = first_code_point(text.substr(i)).length;
    if (length == 0) return i;
    i += static_cast<size_t>(length);
  }
  return std::string_view::npos;
}

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const int length = first_code_point(text).length;
    if (length == 0) {
      append_utf8(result, 0xFFFD);
      text.remove_prefix(1);
    } else {
      result += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return result;
}

size_t whole_characters(std::string_view text) {
  // Only a character that starts in the last three bytes can be incomplete.
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const size_t start = text.size() - back;
    const int length = lead_of(at(text, start)).length;
    if (length > static_cast<int>(back)) return start;
    if (length > 0) break;
  }
  return text.size();
}

}  // namespace terse
