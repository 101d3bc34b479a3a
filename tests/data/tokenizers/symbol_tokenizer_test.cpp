// Tests the symbol tokenizer, above all that every sequence of ids survives a round trip.
#include "data/tokenizers/symbol_tokenizer.h"

#include "data/tokenizers/tokenizer_factory.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using Ids = std::vector<int32_t>;

const SymbolTokenizer& chain() {
  static const SymbolTokenizer tokenizer(
      "chain", {"0", "1", "2", "3", "4", "5", "6", "+", "*", "=", ">", ";", "?", "</think>", "<eos>", "<bos>"});
  return tokenizer;
}

TEST(SymbolTokenizer, ReadsAndWritesTheLanguageOfATask) {
  const Ids ids = chain().encode("<bos> 3+4*2;;= 3+4>0; </think> 0 <eos>");
  EXPECT_EQ(ids, (Ids{15, 3, 7, 4, 8, 2, 11, 11, 9, 3, 7, 4, 10, 0, 11, 13, 0, 14}));
  EXPECT_EQ(chain().decode(ids), "<bos> 3+4*2;;=3+4>0; </think> 0 <eos>");
  EXPECT_EQ(chain().bos(), 15);
  EXPECT_EQ(chain().eos(), 14);
  EXPECT_EQ(chain().vocab_size(), 16);
  EXPECT_EQ(chain().id_of("</think>"), 13);
  EXPECT_THROW(chain().id_of("think"), std::invalid_argument);
}

TEST(SymbolTokenizer, IgnoresSpacesBetweenSymbols) {
  EXPECT_EQ(chain().encode(" 1\t+\n2\r "), (Ids{1, 7, 2}));
  EXPECT_EQ(chain().encode("1</think>2<eos>"), (Ids{1, 13, 2, 14}));
  EXPECT_EQ(chain().encode(""), Ids{});
  EXPECT_EQ(chain().encode("  \n"), Ids{});
  EXPECT_EQ(chain().decode({}), "");
}

TEST(SymbolTokenizer, NamesWhatItCannotRead) {
  EXPECT_EQ(message_of<EncodeError>([] { chain().encode("1+\n\xC3\xA9"); }),
            "no symbol of " + chain().id() + " starts with character '\xC3\xA9' (U+00E9) at byte 3, line 2");
  EXPECT_NE(message_of<EncodeError>([] { chain().encode("1\xFF"); }).find("byte 0xFF"), std::string::npos);
  EXPECT_THROW(chain().encode("< /think>"), EncodeError) << "a space inside a symbol";
  EXPECT_NE(message_of<std::out_of_range>([] { chain().decode({1, 16}); }).find("token id 16"), std::string::npos);
  EXPECT_THROW(chain().decode({-1}), std::out_of_range);
}

void expect_round_trips(const SymbolTokenizer& tokenizer, int longest) {
  const auto n = static_cast<int32_t>(tokenizer.vocab_size());
  for (int length = 0; length <= longest; ++length) {
    Ids ids(length, 0);
    for (bool more = true; more;) {
      ASSERT_EQ(tokenizer.encode(tokenizer.decode(ids)), ids) << tokenizer.decode(ids);
      more = false;
      for (int32_t& id : ids) {
        if (++id < n) {
          more = true;
          break;
        }
        id = 0;
      }
    }
  }
}

TEST(SymbolTokenizer, EverySequenceSurvivesTheRoundTrip) {
  expect_round_trips(chain(), 4);
}

// These vocabularies have single characters that spell longer symbols, symbols that are prefixes of others, and
// characters of several bytes.
TEST(SymbolTokenizer, EverySequenceOfATreacherousVocabularySurvivesTheRoundTrip) {
  expect_round_trips(SymbolTokenizer("bad", {"a", "b", "c", "ab", "abc", "bc", "aa"}), 6);
  expect_round_trips(SymbolTokenizer("bad", {"=", ">", "=>", "=>>", "<", "<=", "<=>"}), 6);
  expect_round_trips(SymbolTokenizer("bad", {"\xC3\xA9", "\xC3\xA8", "\xC3\xA9\xC3\xA8", "x", "x\xC3\xA9"}), 7);
}

TEST(SymbolTokenizer, RandomVocabulariesSurviveTheRoundTrip) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 300; ++round) {
    std::set<std::string> symbols;
    while (symbols.size() < 6) {
      std::string symbol;
      for (int64_t i = below(random, 4); i >= 0; --i) symbol += static_cast<char>('a' + below(random, 3));
      symbols.insert(symbol);
    }
    const SymbolTokenizer tokenizer("random", {symbols.begin(), symbols.end()});
    for (int i = 0; i < 100; ++i) {
      Ids ids(below(random, 12));
      for (int32_t& id : ids) id = static_cast<int32_t>(below(random, 6));
      ASSERT_EQ(tokenizer.encode(tokenizer.decode(ids)), ids) << tokenizer.definition();
    }
  }
}

TEST(SymbolTokenizer, MayBeEncodedInPiecesAtItsSplitPoint) {
  const std::string text = "<bos> 3+4 </think> 0\n<eos>1 2";
  for (size_t n = 0; n <= text.size(); ++n) {
    const size_t cut = chain().split_point(text.substr(0, n));
    ASSERT_LE(cut, n);
    Ids parts = chain().encode(text.substr(0, cut));
    const Ids rest = chain().encode(text.substr(cut));
    parts.insert(parts.end(), rest.begin(), rest.end());
    EXPECT_EQ(parts, chain().encode(text));
  }
}

TEST(SymbolTokenizer, RefusesBadSymbols) {
  using List = std::vector<std::string>;
  for (const List& symbols : {List{}, List{""}, List{"a", "a"}, List{"a b"}, List{"\n"}, List{"\xFF"}, List{"\xC3"}}) {
    EXPECT_THROW(SymbolTokenizer("bad", symbols), std::invalid_argument);
  }
}

TEST(SymbolTokenizer, IsIdentifiedByNameSymbolsAndOrder) {
  const auto id = [](const char* name, std::vector<std::string> symbols) {
    return SymbolTokenizer(name, symbols).id();
  };
  EXPECT_EQ(id("x", {"a", "b"}), id("x", {"a", "b"}));
  EXPECT_NE(id("x", {"a", "b"}), id("x", {"b", "a"}));
  EXPECT_NE(id("x", {"a", "b"}), id("y", {"a", "b"}));
  EXPECT_NE(id("x", {"ab"}), id("x", {"a", "b"}));
  EXPECT_TRUE(chain().id().starts_with("symbol:chain:"));
}

TEST(SymbolTokenizer, IsMadeAgainFromItsDefinition) {
  const auto again = parse_tokenizer(chain().definition(), "test");
  EXPECT_EQ(again->id(), chain().id());
  EXPECT_EQ(again->definition(), chain().definition());
  EXPECT_EQ(again->eos(), chain().eos());
}

}  // namespace
}  // namespace terse::data
