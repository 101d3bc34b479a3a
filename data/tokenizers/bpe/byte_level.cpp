// Keeps the two directions of the mapping as tables.
#include "data/tokenizers/bpe/byte_level.h"

#include <array>

#include "base/utf8.h"

namespace terse::data {

namespace {

constexpr char32_t kCharacters = 0x100 + 68;  // one more than the last character that stands for a byte

constexpr bool is_printable(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Tables {
  std::array<char32_t, 256> character{};
  std::array<int16_t, kCharacters> byte{};  // -1: the character stands for no byte
};

constexpr Tables make_tables() {
  Tables tables;
  for (int16_t& byte : tables.byte) byte = -1;
  char32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const char32_t c = is_printable(byte) ? byte : next++;
    tables.character[byte] = c;
    tables.byte[c] = static_cast<int16_t>(byte);
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

char32_t byte_character(uint8_t byte) {
  return kTables.character[byte];
}

std::string to_byte_characters(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const char byte : bytes) append_utf8(text, byte_character(static_cast<uint8_t>(byte)));
  return text;
}

std::optional<std::string> from_byte_characters(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const CodePoint point = first_code_point(text.substr(i));
    if (point.length == 0 || point.value >= kCharacters || kTables.byte[point.value] < 0) return std::nullopt;
    bytes += static_cast<char>(kTables.byte[point.value]);
    i += static_cast<size_t>(point.length);
  }
  return bytes;
}

}  // namespace terse::data
