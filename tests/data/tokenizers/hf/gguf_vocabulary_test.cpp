// Tests that metadata of a GGUF file gives the tokenizer that it was made of.
#include "data/tokenizers/hf/gguf_vocabulary.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What llama.cpp's converter stores of a tokenizer.json.
GgufVocabulary metadata_of(const nlohmann::json& document, const std::string& pre) {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = pre;
  std::map<int64_t, std::string> tokens;
  for (const auto& [token, id] : document["model"]["vocab"].items()) tokens[id.get<int64_t>()] = token;
  for (const auto& token : document["added_tokens"]) tokens[token["id"].get<int64_t>()] = token["content"];
  for (const auto& [id, token] : tokens) vocabulary.tokens.push_back(token);
  vocabulary.token_types.assign(tokens.size(), 1);
  for (const auto& token : document["added_tokens"]) {
    vocabulary.token_types[token["id"].get<size_t>()] = token["special"].get<bool>() ? 3 : 4;
  }
  for (const auto& merge : document["model"]["merges"]) {
    vocabulary.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  return vocabulary;
}

nlohmann::json document_of(const std::string& name) {
  nlohmann::json document = nlohmann::json::parse(read_file(fixture_path(name + ".tokenizer.json")));
  for (auto& token : document["added_tokens"]) {  // GGUF does not tell these flags
    token["normalized"] = token["single_word"] = token["lstrip"] = token["rstrip"] = false;
  }
  return document;
}

GgufVocabulary small() {
  nlohmann::json document = small_tokenizer();
  document["model"]["merges"] = nlohmann::json::parse(R"([["a", "b"], ["ab", "c"]])");
  GgufVocabulary vocabulary = metadata_of(document, "gpt-2");
  vocabulary.eos = 258;
  return vocabulary;
}

TEST(GgufVocabulary, IsTheTokenizerThatItWasMadeOf) {
  for (const auto& [name, pre] : std::vector<std::pair<std::string, std::string>>{
           {"gpt2", "gpt-2"}, {"smollm", "smollm"}, {"llama3", "llama-bpe"}, {"qwen2", "qwen2"}}) {
    const nlohmann::json document = document_of(name);
    const auto original = parsed(document);
    const auto tokenizer = parse_tokenizer(tokenizer_json_of(metadata_of(document, pre), "m.gguf"), "m.gguf");
    EXPECT_EQ(tokenizer->id(), original->id()) << name;
    EXPECT_EQ(tokenizer->bos(), 1);
    EXPECT_THAT(tokenizer->eos_ids(), ElementsAre(2));
    EXPECT_EQ(tokenizer->adds_bos(), name == "llama3") << "llama.cpp's default";
    for (const auto& text : expected().at("texts")) {
      EXPECT_EQ(tokenizer->encode(text.get<std::string>()), original->encode(text.get<std::string>()));
    }
  }
}

TEST(GgufVocabulary, FlagsAndTheEndOfATurnAreKept) {
  GgufVocabulary vocabulary = metadata_of(document_of("llama3"), "llama-bpe");
  vocabulary.add_bos = false;
  vocabulary.add_eos = true;
  vocabulary.eot = 0;
  const auto tokenizer = parse_tokenizer(tokenizer_json_of(vocabulary, "m.gguf"), "m.gguf");
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_TRUE(tokenizer->adds_eos());
  EXPECT_THAT(tokenizer->eos_ids(), ElementsAre(2, 0));
  vocabulary.eot = vocabulary.eos;
  vocabulary.bos.reset();
  const auto other = parse_tokenizer(tokenizer_json_of(vocabulary, "m.gguf"), "m.gguf");
  EXPECT_THAT(other->eos_ids(), ElementsAre(2));
  EXPECT_EQ(other->bos(), -1);
}

TEST(GgufVocabulary, UnusedTokensKeepTheirIdsFree) {
  GgufVocabulary vocabulary = small();
  vocabulary.tokens.insert(vocabulary.tokens.begin() + 256, "[PAD256]");
  vocabulary.token_types.insert(vocabulary.token_types.begin() + 256, 5);
  vocabulary.eos = 259;
  const auto tokenizer = parse_tokenizer(tokenizer_json_of(vocabulary, "m.gguf"), "m.gguf");
  EXPECT_EQ(tokenizer->vocab_size(), 260);
  EXPECT_THAT(tokenizer->encode("abc"), ElementsAre(258));
  EXPECT_EQ(tokenizer->decode({256}), "");
}

TEST(GgufVocabulary, RefusesWhatItCannotUse) {
  const auto refused = [](auto change) {
    GgufVocabulary vocabulary = small();
    change(vocabulary);
    return message_of<DataError>([&] { parse_tokenizer(tokenizer_json_of(vocabulary, "m.gguf"), "m.gguf"); });
  };
  EXPECT_THAT(refused([](auto& v) { v.model = "llama"; }),
              HasSubstr("m.gguf: tokenizer.ggml.model: found \"llama\", expected \"gpt2\""));
  EXPECT_THAT(refused([](auto& v) { v.pre = "kimi-k2"; }),
              HasSubstr("tokenizer.ggml.pre: \"kimi-k2\" is not supported; known: gpt-2"));
  EXPECT_THAT(refused([](auto& v) { v.pre = ""; }), HasSubstr("tokenizer.ggml.pre: \"\" is not supported"));
  EXPECT_THAT(refused([](auto& v) {
                v.tokens.clear();
                v.token_types.clear();
              }),
              HasSubstr("found 0 tokens"));
  EXPECT_THAT(refused([](auto& v) { v.token_types.pop_back(); }), HasSubstr("found 258 types for 259 tokens"));
  EXPECT_THAT(refused([](auto& v) { v.token_types[7] = 9; }), HasSubstr("token_type[7]: found 9, expected 0 to 6"));
  EXPECT_THAT(refused([](auto& v) { v.tokens[7] = "\xFF"; }), HasSubstr("tokens[7]: it is not UTF-8"));
  EXPECT_THAT(refused([](auto& v) { v.tokens[7] = "ab"; }), HasSubstr("\"ab\" occurs twice"));
  EXPECT_THAT(refused([](auto& v) { v.merges[1] = "ab"; }), HasSubstr("merges[1]: found \"ab\", expected two tokens"));
  EXPECT_THAT(refused([](auto& v) { v.merges[1] = "a b c"; }), HasSubstr("merges[1]: found \"a b c\""));
  EXPECT_THAT(refused([](auto& v) { v.merges[1] = "ab zz"; }), HasSubstr("the token \"zz\" is not in model.vocab"));
  EXPECT_THAT(refused([](auto& v) { v.eos = 259; }),
              HasSubstr("eos_token_id: found 259, expected one of the 259 tokens"));
  EXPECT_THAT(refused([](auto& v) { v.bos = -1; }), HasSubstr("bos_token_id: found -1"));
  EXPECT_THAT(refused([](auto& v) { v.add_bos = true; }), HasSubstr("add_bos_token: token 1 begins or ends a text"));
}

}  // namespace
}  // namespace terse::data
