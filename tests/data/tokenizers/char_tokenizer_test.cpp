// Tests the vocabulary, the encoding and the errors of the character tokenizer.
#include "data/tokenizers/char_tokenizer.h"

#include "base/utf8.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

const std::string kText = "na\xC3\xAFve \xE2\x82\xAC\n\xF0\x9F\x98\x80";  // naïve €, a line feed, a face

CharTokenizer from_text(const std::string& text) {
  CharacterSet set;
  set.add(text);
  return CharTokenizer(set.characters());
}

TEST(CharTokenizer, NumbersCharactersInAscendingOrder) {
  const CharTokenizer tokenizer = from_text(kText);
  EXPECT_EQ(tokenizer.characters(), (std::vector<char32_t>{'\n', ' ', 'a', 'e', 'n', 'v', 0xEF, 0x20AC, 0x1F600}));
  EXPECT_EQ(tokenizer.encode("nav"), (std::vector<int32_t>{4, 2, 5}));
  EXPECT_EQ(tokenizer.bos(), -1);
  EXPECT_EQ(tokenizer.eos(), -1);
}

TEST(CharTokenizer, TextSurvivesTheRoundTrip) {
  const CharTokenizer tokenizer = from_text(kText);
  const std::vector<int32_t> ids = tokenizer.encode(kText);
  EXPECT_EQ(ids.size(), 9u);
  EXPECT_EQ(tokenizer.decode(ids), kText);
  std::vector<int32_t> all(tokenizer.vocab_size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
  EXPECT_EQ(tokenizer.encode(tokenizer.decode(all)), all);
}

TEST(CharTokenizer, NamesAnUnknownCharacterWithByteAndLine) {
  const CharTokenizer tokenizer = from_text("ab\n");
  const std::string message = message_of<EncodeError>([&] { tokenizer.encode("ab\nb\xC3\xA9"); });
  EXPECT_NE(message.find("'\xC3\xA9' (U+00E9)"), std::string::npos) << message;
  EXPECT_NE(message.find("at byte 4, line 2"), std::string::npos) << message;
  EXPECT_THROW(tokenizer.decode({3}), std::out_of_range);
  EXPECT_THROW(tokenizer.decode({-1}), std::out_of_range);
}

TEST(CharTokenizer, RefusesInvalidUtf8) {
  const CharTokenizer tokenizer = from_text("ab");
  EXPECT_EQ(message_of<EncodeError>([&] { tokenizer.encode("a\xFF"); }), "invalid UTF-8 (byte 0xFF) at byte 1, line 1");
  EXPECT_THROW(tokenizer.encode("a\xE2\x82"), EncodeError);
  EXPECT_THROW(from_text("\xED\xA0\x80"), EncodeError);
}

TEST(CharTokenizer, IsIdentifiedByItsCharacters) {
  EXPECT_EQ(from_text("abc").id(), from_text("cbaabc").id());
  EXPECT_NE(from_text("abc").id(), from_text("abd").id());
  EXPECT_EQ(CharTokenizer({'b', 'a', 'b'}).id(), from_text("ab").id());
}

TEST(CharTokenizer, RefusesAnEmptyOrImpossibleVocabulary) {
  EXPECT_THROW(CharTokenizer({}), std::invalid_argument);
  EXPECT_THROW(CharTokenizer({0xD800}), std::invalid_argument);
  EXPECT_THROW(CharTokenizer({0x110000}), std::invalid_argument);
}

TEST(CharTokenizer, IsMadeAgainFromItsDefinition) {
  const CharTokenizer tokenizer = from_text(kText + std::string(1, '\0') + "\"\\\x7F");
  const auto again = parse_tokenizer(tokenizer.definition(), "test");
  EXPECT_EQ(again->id(), tokenizer.id());
  EXPECT_EQ(again->definition(), tokenizer.definition());
}

TEST(CharTokenizer, MayBeEncodedInPiecesAtItsSplitPoint) {
  const CharTokenizer tokenizer = from_text(kText);
  for (size_t n = 0; n <= kText.size(); ++n) {
    const size_t cut = tokenizer.split_point(kText.substr(0, n));
    std::vector<int32_t> parts = tokenizer.encode(kText.substr(0, cut));
    const std::vector<int32_t> rest = tokenizer.encode(kText.substr(cut));
    parts.insert(parts.end(), rest.begin(), rest.end());
    EXPECT_EQ(parts, tokenizer.encode(kText));
  }
}

}  // namespace
}  // namespace terse::data
