// Compares form C with that of the `tokenizers` library, and with cases of UAX 15.
#include "data/tokenizers/split/normalizer.h"

#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

TEST(Normalizer, EqualsTheLibraryOnOddTexts) {
  const auto texts = expected().at("texts").get<std::vector<std::string>>();
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(normalize_nfc(texts[i]), expected().at("nfc").at(i).get<std::string>()) << texts[i];
  }
}

TEST(Normalizer, ComposesDecomposesAndReorders) {
  EXPECT_EQ(normalize_nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(normalize_nfc("\u212b"), "\u00c5") << "the sign of angstrom is a letter";
  EXPECT_EQ(normalize_nfc("\u1100\u1161\u11a8"), "\uac01") << "Hangul";
  EXPECT_EQ(normalize_nfc("a\u0301\u0323"), "\u1ea1\u0301") << "the dot below comes first";
  EXPECT_EQ(normalize_nfc("a\u0315\u0300"), "\u00e0\u0315");
  EXPECT_EQ(normalize_nfc("\u0958"), "\u0915\u093c") << "excluded from composition";
  EXPECT_EQ(normalize_nfc("\u0301a"), "\u0301a");
  EXPECT_EQ(normalize_nfc("\u00e9\u0301x\u00e9"), "\u00e9\u0301x\u00e9");
  EXPECT_EQ(normalize_nfc(""), "");
  EXPECT_EQ(normalize_nfc("plain"), "plain");
}

TEST(Normalizer, CharactersAfterUnicode9StayAsTheyAre) {
  EXPECT_EQ(normalize_nfc("\u0f87\u1de9\u08d2"), "\u0f87\u1de9\u08d2") << "U+08D2 came with Unicode 14";
  EXPECT_EQ(normalize_nfc("\U00011935\U00011930"), "\U00011935\U00011930") << "Unicode 13 joins them";
  EXPECT_EQ(normalize_nfc("e\U0001e4ec\u0301"), "e\U0001e4ec\u0301") << "Unicode 15";
}

TEST(Normalizer, AMillionAccentsTakeNoQuadraticTime) {
  std::string text = "a", sorted = "a";
  for (int i = 0; i < 250000; ++i) text += "\u0301\u0323";
  for (int i = 0; i < 250000; ++i) sorted += "\u0323";
  for (int i = 0; i < 250000; ++i) sorted += "\u0301";
  EXPECT_EQ(normalize_nfc(text), normalize_nfc(sorted));
}

TEST(Normalizer, KnowsWhereTextIsSimple) {
  EXPECT_EQ(simple_end("abc"), 0u);
  EXPECT_EQ(simple_end(""), 0u);
  EXPECT_EQ(simple_end("e\u0301xy"), 3u);
  EXPECT_EQ(simple_end("xy\u0301"), 4u);
  EXPECT_EQ(simple_end("\u00e9"), 0u) << "below U+0300";
}

}  // namespace
}  // namespace terse::data
