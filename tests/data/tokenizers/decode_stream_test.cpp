// Tests that parts of a decoded text are whole characters and join to the whole text.
#include "data/tokenizers/decode_stream.h"

#include "base/utf8.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/symbol_tokenizer.h"
#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

TEST(DecodeStream, KeepsBackThePartsOfACharacter) {
  const ByteTokenizer bytes;
  DecodeStream stream(bytes);
  EXPECT_EQ(stream.add('a'), "a");
  EXPECT_EQ(stream.add(0xF0), "");
  EXPECT_EQ(stream.add(0x9F), "");
  EXPECT_EQ(stream.add(0x98), "");
  EXPECT_EQ(stream.add(0x80), "\xF0\x9F\x98\x80");
  EXPECT_EQ(stream.add(0xC3), "");
  EXPECT_EQ(stream.add('b'),
            "\xC3"
            "b")
      << "it never becomes a character";
  EXPECT_EQ(stream.add(0xE4), "");
  EXPECT_EQ(stream.finish(), "\xE4");
  EXPECT_EQ(stream.finish(), "");
}

TEST(DecodeStream, WritesTheSpacesBetweenSymbols) {
  const SymbolTokenizer symbols("s", {"a", "b", "<eos>"});
  DecodeStream stream(symbols);
  std::string text;
  for (const int32_t id : {0, 1, 2, 0}) text += stream.add(id);
  EXPECT_EQ(text + stream.finish(), symbols.decode({0, 1, 2, 0}));
  EXPECT_EQ(stream.add(0), "a") << "a new text begins without a space";
}

TEST(DecodeStream, PartsJoinToTheText) {
  for (const std::string& name : kFixtures) {
    const auto tokenizer = fixture(name);
    for (const auto& given : expected().at("texts")) {
      const std::vector<int32_t> ids = tokenizer->encode_template(given.get<std::string>());
      DecodeStream stream(*tokenizer);
      std::string text;
      for (const int32_t id : ids) {
        const std::string part = stream.add(id);
        EXPECT_EQ(find_invalid_utf8(part), std::string_view::npos);
        text += part;
      }
      EXPECT_EQ(text + stream.finish(), tokenizer->decode(ids));
    }
  }
}

TEST(DecodeStream, RefusesAnIdOutsideTheVocabulary) {
  const ByteTokenizer bytes;
  DecodeStream stream(bytes);
  EXPECT_EQ(stream.add(258), "") << "a model may have more ids than its tokenizer";
}

}  // namespace
}  // namespace terse::data
