// Tests the characters that stand for bytes.
#include "data/tokenizers/bpe/byte_level.h"

#include <gtest/gtest.h>

#include <set>

namespace terse::data {
namespace {

TEST(ByteLevel, UsesTheCharactersOfGpt2) {
  EXPECT_EQ(to_byte_characters(" a\n"), "\u0120a\u010a");
  EXPECT_EQ(byte_character(0x00), 0x100u);
  EXPECT_EQ(byte_character(0xA0), 0x142u);
  EXPECT_EQ(byte_character(0xAD), 0x143u) << "the last of the 68 that are not printable";
  EXPECT_EQ(byte_character(0xFF), 0xFFu);
}

TEST(ByteLevel, EveryByteHasACharacterOfItsOwn) {
  std::set<char32_t> characters;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    characters.insert(byte_character(static_cast<uint8_t>(byte)));
    EXPECT_EQ(from_byte_characters(to_byte_characters(text)), text);
  }
  EXPECT_EQ(characters.size(), 256u);
}

TEST(ByteLevel, OtherCharactersStandForNoByte) {
  for (const char* text : {" ", "\u0144", "\u00ad", "a\u4e2d", "\xFF", "\x7F"}) {
    EXPECT_EQ(from_byte_characters(text), std::nullopt) << text;
  }
  EXPECT_EQ(from_byte_characters(""), "");
}

}  // namespace
}  // namespace terse::data
