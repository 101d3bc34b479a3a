// Tests that a tokenizer survives the way into the metadata of a GGUF file and back.
#include "data/tokenizers/hf/write_gguf_vocabulary.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "data/tokenizers/bpe/train_bpe.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::shared_ptr<const Tokenizer> back(const WrittenGgufVocabulary& written) {
  return parse_tokenizer(tokenizer_json_of(written.vocabulary, "m.gguf"), "m.gguf");
}

// Without the flags of added tokens that a GGUF file does not tell.
nlohmann::json plain_document(const std::string& name) {
  nlohmann::json document = nlohmann::json::parse(read_file(fixture_path(name + ".tokenizer.json")));
  for (auto& token : document["added_tokens"])
    token["normalized"] = token["single_word"] = token["lstrip"] = token["rstrip"] = false;
  return document;
}

TEST(WriteGgufVocabulary, ComesBackAsTheSameTokenizer) {
  for (const auto& [name, pre] : std::vector<std::pair<std::string, std::string>>{
           {"gpt2", "gpt-2"}, {"smollm", "smollm"}, {"llama3", "llama-bpe"}, {"qwen2", "qwen2"}}) {
    const auto original = parsed(plain_document(name));
    const WrittenGgufVocabulary written = gguf_vocabulary_of(*original, original->vocab_size(), "m");
    EXPECT_EQ(written.vocabulary.pre, pre);
    EXPECT_THAT(written.notes, IsEmpty()) << name;
    const auto tokenizer = back(written);
    EXPECT_EQ(tokenizer->id(), original->id()) << name;
    EXPECT_EQ(tokenizer->bos(), original->bos());
    EXPECT_EQ(tokenizer->eos_ids(), original->eos_ids());
    EXPECT_EQ(tokenizer->adds_bos(), original->adds_bos()) << name;
    EXPECT_EQ(tokenizer->adds_eos(), original->adds_eos()) << name;
    for (const auto& text : expected().at("texts"))
      EXPECT_EQ(tokenizer->encode(text.get<std::string>()), original->encode(text.get<std::string>())) << name;
  }
}

TEST(WriteGgufVocabulary, IdsWithoutATokenArePadding) {
  nlohmann::json document = small_tokenizer();
  document["added_tokens"][0]["id"] = 260;  // 258 and 259 are free
  const auto original = parsed(document);
  const WrittenGgufVocabulary written = gguf_vocabulary_of(*original, 263, "m");
  const GgufVocabulary& vocabulary = written.vocabulary;
  ASSERT_EQ(vocabulary.tokens.size(), 263u);
  EXPECT_EQ(vocabulary.tokens[258], "[PAD258]");
  EXPECT_EQ(vocabulary.tokens[260], "<eos>");
  EXPECT_EQ(vocabulary.tokens[262], "[PAD262]");
  EXPECT_EQ(vocabulary.token_types[257], 1);
  EXPECT_EQ(vocabulary.token_types[258], 5);
  EXPECT_EQ(vocabulary.token_types[260], 3);
  EXPECT_EQ(back(written)->vocab_size(), 261);
  EXPECT_EQ(back(written)->id(), original->id());
  EXPECT_THAT(message_of<DataError>([&] { gguf_vocabulary_of(*original, 260, "m"); }),
              HasSubstr("m: its tokenizer has 261 tokens, but the model knows 260"));
}

TEST(WriteGgufVocabulary, TokensThatAreNotSpecialAreUserDefined) {
  nlohmann::json document = small_tokenizer();
  document["added_tokens"][0]["special"] = false;
  EXPECT_EQ(gguf_vocabulary_of(*parsed(document), 259, "m").vocabulary.token_types[258], 4);
}

TEST(WriteGgufVocabulary, AWayToCutTextWithoutAWordIsRefused) {
  nlohmann::json document = small_tokenizer();
  document["model"]["ignore_merges"] = true;
  EXPECT_THAT(
      message_of<DataError>([&] { gguf_vocabulary_of(*parsed(document), 259, "m"); }),
      AllOf(HasSubstr("m: its tokenizer cuts text as"), HasSubstr("\"ignore_merges\" is false there and true")));
  document = small_tokenizer();
  const nlohmann::json bytes = document["pre_tokenizer"];
  nlohmann::json whole = bytes;
  whole["use_regex"] = false;
  document["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", "[^x]+"}}}, {"behavior", "Isolated"}, {"invert", false}}, whole}}};
  EXPECT_THAT(message_of<DataError>([&] { gguf_vocabulary_of(*parsed(document), 259, "m"); }),
              AllOf(HasSubstr("[^x]+"), HasSubstr("tokenizer.ggml.pre has no word that terse knows")));
  document["pre_tokenizer"] = whole;
  EXPECT_THAT(message_of<DataError>([&] { gguf_vocabulary_of(*parsed(document), 259, "m"); }),
              HasSubstr("tokenizer.ggml.pre has no word"));
}

TEST(WriteGgufVocabulary, NotesSayWhatAGgufFileDoesNotTell) {
  nlohmann::json document = small_tokenizer();
  document["normalizer"] = {{"type", "NFC"}};
  document["added_tokens"][0]["lstrip"] = true;
  document["model"]["terse"] = {{"bos", -1}, {"eos", {258, 257, 256}}};
  const WrittenGgufVocabulary written = gguf_vocabulary_of(*parsed(document), 259, "m");
  EXPECT_THAT(written.notes,
              ElementsAre(HasSubstr("this one does (NFC)"), HasSubstr("look at the text beside them: <eos>"),
                          HasSubstr("256 is left out, ab")));
  EXPECT_EQ(written.vocabulary.eos, 258);
  EXPECT_EQ(written.vocabulary.eot, 257);
  EXPECT_FALSE(written.vocabulary.bos.has_value());
}

TEST(WriteGgufVocabulary, OnlyBytePairEncodingHasACounterpart) {
  EXPECT_TRUE(is_bpe(*parsed(small_tokenizer())));
  EXPECT_FALSE(is_bpe(ByteTokenizer()));
}

}  // namespace
}  // namespace terse::data
