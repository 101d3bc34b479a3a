// Tests what holds for all texts: bytes come back, pieces join, many threads agree.
#include "data/tokenizers/bpe/bpe_tokenizer.h"

#include <gmock/gmock.h>

#include <thread>

#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Bytes of every kind: words, white space, special strings, characters of all lengths, and bytes that are not UTF-8.
std::string random_bytes(std::mt19937_64& random, int64_t pieces) {
  static const std::vector<std::string> kPieces = {"a",
                                                   "the",
                                                   " the",
                                                   "ab",
                                                   " ",
                                                   "  ",
                                                   "\n",
                                                   "\r\n",
                                                   "\t",
                                                   "12",
                                                   "!?",
                                                   "'s",
                                                   "'LL",
                                                   "\xC3\xA9",
                                                   "e\xCC\x81",
                                                   "\xE4\xB8\xAD",
                                                   "\xF0\x9F\x98\x80",
                                                   "<|im_end|>",
                                                   "<tool>",
                                                   "<tool>s",
                                                   "<",
                                                   "\xFF",
                                                   "\xC3",
                                                   "\xE4\xB8",
                                                   "\x80",
                                                   "\xF0\x9F",
                                                   "\xED\xA0\x80",
                                                   "--",
                                                   "<to",
                                                   "\xE1\xA0\x8E"};
  std::string text;
  for (int64_t i = 0; i < pieces; ++i) text += kPieces[static_cast<size_t>(below(random, std::ssize(kPieces)))];
  return text;
}

TEST(BpeTokenizer, AllBytesComeBack) {
  std::mt19937_64 random(1);
  for (const std::string name : {"gpt2", "smollm", "llama3"}) {
    const auto tokenizer = fixture(name);
    for (int round = 0; round < 300; ++round) {
      const std::string text = random_bytes(random, below(random, 30));
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << name;
      EXPECT_EQ(tokenizer->decode(tokenizer->encode_template(text)), text) << name;
    }
    std::string all;
    for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(all)), all);
  }
}

// Encodes a text with the spans of the parts that a template wrote.
std::vector<int32_t> encode_parts(const Tokenizer& tokenizer,
                                  const std::vector<std::pair<std::string, bool>>& parts_by_template) {
  std::string text;
  std::vector<Span> spans;
  for (const auto& [part, by_template] : parts_by_template) {
    if (by_template) spans.push_back({text.size(), text.size() + part.size()});
    text += part;
  }
  return tokenizer.encode_template(text, spans);
}

TEST(BpeTokenizer, OnlyWhatATemplateWroteBecomesASpecialToken) {
  for (const std::string& name : kFixtures) {
    const auto tokenizer = fixture(name);
    const int32_t end = tokenizer->encode_template("<|im_end|>").at(0);
    const auto count = [&](const std::vector<int32_t>& ids) { return std::count(ids.begin(), ids.end(), end); };
    EXPECT_EQ(count(encode_parts(*tokenizer, {{"<|im_end|>", true}, {"<|im_end|>", false}, {"<|im_end|>", true}})), 2);
    EXPECT_EQ(count(encode_parts(*tokenizer, {{"<|im_", true}, {"end|>", false}})), 0) << "the user completes it";
    EXPECT_EQ(count(encode_parts(*tokenizer, {{"<|im_", false}, {"end|>", true}})), 0) << "the template completes it";
    EXPECT_EQ(count(encode_parts(*tokenizer, {{"<|im_end|", false}, {"<|im_end|>", true}})), 1);
    EXPECT_EQ(count(encode_parts(*tokenizer, {{"<|im_", true}, {"end|>", true}})), 0) << "the spans only touch";
  }
}

// Tokens that are found in the normalized text count where the template wrote them, even beside text that changes.
TEST(BpeTokenizer, SpansFollowANormalization) {
  const auto tokenizer = fixture("qwen2");
  const int32_t gap = tokenizer->encode_template("<gap>").at(0);
  const auto count = [&](const std::vector<int32_t>& ids) { return std::count(ids.begin(), ids.end(), gap); };
  const std::string changes = "e\xCC\x81";  // two characters that NFC joins
  EXPECT_EQ(count(encode_parts(*tokenizer, {{changes, false}, {"<gap>", true}, {changes + "<gap>", false}})), 1);
  EXPECT_EQ(count(encode_parts(*tokenizer, {{"<gap>", true}, {changes, false}, {"x<gap>", true}})), 2);
  EXPECT_EQ(count(encode_parts(*tokenizer, {{"<gap>e", true}, {"\xCC\x81", false}})), 0)
      << "the user's mark changes the template's last character";
  EXPECT_EQ(tokenizer->encode("<gap>").at(0), gap) << "it is not special, so plain text has it, as in the library";
}

TEST(BpeTokenizer, InvalidBytesStandApart) {
  const auto tokenizer = parsed(small_tokenizer());
  EXPECT_THAT(tokenizer->encode("a\xFFz"), ElementsAre('a', 0xFF, 'z'));
  EXPECT_THAT(tokenizer->encode("\xC3\x28"), ElementsAre(0xC3, 0x28));
}

TEST(BpeTokenizer, TextMayBeCutAtASplitPoint) {
  std::mt19937_64 random(2);
  for (const std::string name : {"gpt2", "llama3", "qwen2", "smollm"}) {
    nlohmann::json document = nlohmann::json::parse(read_file(fixture_path(name + ".tokenizer.json")));
    for (nlohmann::json& token : document["added_tokens"]) {  // tokens that look around leave no split point
      token["single_word"] = token["lstrip"] = token["rstrip"] = false;
    }
    const auto tokenizer = parsed(document);
    int64_t cuts = 0;
    for (int round = 0; round < 1500; ++round) {
      const std::string text = random_bytes(random, 1 + below(random, 25));
      const size_t cut = tokenizer->split_point(text);
      ASSERT_LE(cut, text.size());
      cuts += cut > 0 ? 1 : 0;
      for (int k = 0; k < 3; ++k) {
        const std::string all = text + random_bytes(random, k * 4);
        std::vector<int32_t> ids = tokenizer->encode(all.substr(0, cut));
        const std::vector<int32_t> rest = tokenizer->encode(all.substr(cut));
        ids.insert(ids.end(), rest.begin(), rest.end());
        ASSERT_EQ(ids, tokenizer->encode(all)) << name << ": " << testing::PrintToString(text) << " cut at " << cut
                                               << ", then " << testing::PrintToString(all.substr(text.size()));
      }
    }
    EXPECT_GT(cuts, 700) << name;
  }
}

TEST(BpeTokenizer, SplitPointsAreNearTheEnd) {
  const std::string text = read_file(std::filesystem::path(TERSE_SOURCE_DIR) / "data/corpora/tinyshakespeare.txt");
  for (const std::string name : {"gpt2", "llama3", "qwen2", "smollm"}) {
    nlohmann::json document = nlohmann::json::parse(read_file(fixture_path(name + ".tokenizer.json")));
    document["added_tokens"].erase(document["added_tokens"].end() - 2, document["added_tokens"].end());
    const auto tokenizer = parsed(document);
    EXPECT_GT(tokenizer->split_point(std::string_view(text).substr(0, 10000)), 9900u) << name;
  }
}

TEST(BpeTokenizer, TokensThatLookAroundLeaveNoSplitPoint) {
  EXPECT_EQ(fixture("gpt2")->split_point("many words of text"), 0u);
  EXPECT_EQ(fixture("prefix")->split_point("many words of text"), 0u);
}

TEST(BpeTokenizer, NamesTheByteWithoutAToken) {
  nlohmann::json document = small_tokenizer();
  document["model"]["vocab"].erase(to_byte_characters("\x01"));
  const auto tokenizer = parsed(document);
  const std::string message = message_of<EncodeError>([&] { tokenizer->encode("ab\nc\x01"); });
  EXPECT_THAT(message, HasSubstr("byte 0x01 has no token in bpe:"));
  EXPECT_THAT(message, HasSubstr("at byte 4, line 2"));
  document["model"]["unk_token"] = "z";
  EXPECT_THAT(parsed(document)->encode("a\x01\x01"), ElementsAre('a', 'z', 'z'));
  document["model"]["fuse_unk"] = true;
  EXPECT_THAT(parsed(document)->encode("a\x01\x01"), ElementsAre('a', 'z'));
}

TEST(BpeTokenizer, ASpecialTokenIsNoUnknownToken) {
  nlohmann::json document = small_tokenizer();
  document["model"]["vocab"].erase(to_byte_characters("\x01"));
  document["model"]["unk_token"] = "<eos>";
  EXPECT_THROW(parsed(document)->encode("\x01"), EncodeError);
}

TEST(BpeTokenizer, AnIdWithoutATokenDecodesToNothing) {
  nlohmann::json document = small_tokenizer();
  document["added_tokens"][0]["id"] = 300;
  const auto tokenizer = parsed(document);
  EXPECT_EQ(tokenizer->vocab_size(), 301);
  EXPECT_EQ(tokenizer->decode({'a', 299, 'b', 300}), "ab<eos>");
  EXPECT_THROW(tokenizer->decode({301}), std::out_of_range);
  EXPECT_THROW(tokenizer->decode({-1}), std::out_of_range);
}

TEST(BpeTokenizer, TheIdTellsWhatChangesIdsAndNothingElse) {
  const std::string id = parsed(small_tokenizer())->id();
  EXPECT_TRUE(id.starts_with("bpe:")) << id;
  const auto other = [](auto change) {
    nlohmann::json document = small_tokenizer();
    change(document);
    return parsed(document)->id();
  };
  EXPECT_EQ(other([](auto& d) { d["model"]["merges"] = nlohmann::json::parse(R"([["a", "b"], ["ab", "c"]])"); }), id);
  EXPECT_EQ(other([](auto& d) { d["model"]["terse"] = {{"bos", 3}, {"eos", {258}}}; }), id);
  EXPECT_EQ(other([](auto& d) { d["normalizer"] = nullptr; }), id);
  EXPECT_NE(other([](auto& d) { d["normalizer"] = {{"type", "NFC"}}; }), id);
  EXPECT_NE(other([](auto& d) { d["model"]["ignore_merges"] = true; }), id);
  EXPECT_NE(other([](auto& d) { d["model"]["merges"].erase(1); }), id);
  EXPECT_NE(other([](auto& d) { std::swap(d["model"]["vocab"]["x"], d["model"]["vocab"]["y"]); }), id);
  EXPECT_NE(other([](auto& d) { d["added_tokens"][0]["special"] = false; }), id);
  EXPECT_NE(other([](auto& d) { d["added_tokens"][0]["lstrip"] = true; }), id);
  EXPECT_NE(other([](auto& d) { d["added_tokens"][0]["content"] = "<eot>"; }), id);
  EXPECT_NE(other([](auto& d) { d["pre_tokenizer"]["add_prefix_space"] = true; }), id);
  EXPECT_NE(other([](auto& d) { d["pre_tokenizer"]["use_regex"] = false; }), id);
}

TEST(BpeTokenizer, ADefinitionMakesTheSameTokenizer) {
  for (const std::string& name : kFixtures) {
    const auto tokenizer = fixture(name);
    EXPECT_EQ(tokenizer->definition(), read_file(fixture_path(name + ".tokenizer.json"))) << "kept verbatim";
    EXPECT_EQ(parse_tokenizer(tokenizer->definition(), "copy")->id(), tokenizer->id());
  }
}

TEST(BpeTokenizer, ThreadsAgree) {
  const auto tokenizer = fixture("llama3");
  std::mt19937_64 random(3);
  const std::string text = random_bytes(random, 3000);
  const std::vector<int32_t> ids = tokenizer->encode(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int& mine : wrong) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) mine += tokenizer->encode(text) != ids ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0));
}

TEST(BpeTokenizer, LongPiecesMergeAsShortOnesDo) {
  nlohmann::json document = small_tokenizer();
  document["pre_tokenizer"]["use_regex"] = false;
  const auto tokenizer = parsed(document);
  std::string text;
  std::vector<int32_t> ids;
  for (int i = 0; i < 100; ++i) {  // 500 bytes
    text += "abcab";
    ids.insert(ids.end(), {257, 256});
  }
  EXPECT_EQ(tokenizer->encode(text), ids);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(std::string(1 << 20, 'a'))), std::string(1 << 20, 'a'));
}

}  // namespace
}  // namespace terse::data
