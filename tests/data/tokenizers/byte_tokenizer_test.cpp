// Tests that all bytes survive a round trip, and that no text encodes to a special token.
#include "data/tokenizers/byte_tokenizer.h"

#include "data/tokenizers/tokenizer_factory.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

TEST(ByteTokenizer, AnyBytesSurviveTheRoundTrip) {
  std::string text;
  for (int i = 0; i < 512; ++i) text += static_cast<char>(i * 37);
  const std::vector<int32_t> ids = ByteTokenizer().encode(text);
  ASSERT_EQ(ids.size(), text.size());
  EXPECT_EQ(ids[7], (7 * 37) & 255);
  EXPECT_EQ(ByteTokenizer().decode(ids), text);
  EXPECT_TRUE(ByteTokenizer().encode("").empty());
}

TEST(ByteTokenizer, NoTextSpellsASpecialToken) {
  for (const int32_t id : ByteTokenizer().encode("<eos><bos>")) EXPECT_LT(id, 256);
  EXPECT_EQ(ByteTokenizer().decode({ByteTokenizer::kBos, 'h', 'i', ByteTokenizer::kEos}), "hi");
}

TEST(ByteTokenizer, RefusesIdsOutsideItsVocabulary) {
  EXPECT_NE(message_of<std::out_of_range>([] { ByteTokenizer().decode({258}); }).find("258"), std::string::npos);
  EXPECT_THROW(ByteTokenizer().decode({-1}), std::out_of_range);
}

TEST(ByteTokenizer, IsMadeAgainFromItsDefinition) {
  const auto again = parse_tokenizer(ByteTokenizer().definition(), "test");
  EXPECT_EQ(again->id(), "byte");
  EXPECT_EQ(again->vocab_size(), 258);
}

}  // namespace
}  // namespace terse::data
