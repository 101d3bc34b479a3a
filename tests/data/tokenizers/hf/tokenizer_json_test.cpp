// Tests what a tokenizer.json may say, and that anything else is refused with the place and the reason.
#include "data/tokenizers/hf/tokenizer_json.h"

#include <gmock/gmock.h>

#include <functional>

#include "base/errors.h"
#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TokenizerJson, ReadsMergesInBothForms) {
  json document = small_tokenizer();
  EXPECT_THAT(parsed(document)->encode("abcab"), ElementsAre(257, 256));
  document["model"]["merges"] = json::parse(R"([["a", "b"], ["ab", "c"]])");
  EXPECT_THAT(parsed(document)->encode("abcab"), ElementsAre(257, 256));
}

TEST(TokenizerJson, IgnoringMergesTakesAPieceThatIsAToken) {
  json document = small_tokenizer();
  document["model"]["vocab"]["xyz"] = 259;
  EXPECT_THAT(parsed(document)->encode("xyz"), ElementsAre('x', 'y', 'z'));
  document["model"]["ignore_merges"] = true;
  EXPECT_THAT(parsed(document)->encode("xyz xyz"), ElementsAre(259, ' ', 'x', 'y', 'z')) << "a piece has a space";
}

TEST(TokenizerJson, IgnoringMergesNeverGivesASpecialToken) {
  json document = small_tokenizer();
  document["model"]["ignore_merges"] = true;
  document["model"]["vocab"]["word"] = 259;
  document["added_tokens"][0] = {{"id", 259}, {"content", "word"}, {"special", true}};
  EXPECT_THAT(parsed(document)->encode("word"), ElementsAre('w', 'o', 'r', 'd'));
  EXPECT_THAT(parsed(document)->encode_template("word"), ElementsAre(259));
}

TEST(TokenizerJson, TheLastOfTwoEqualMergesCounts) {
  json document = small_tokenizer();
  document["model"]["vocab"]["bc"] = 259;
  document["model"]["merges"] = {"b c", "a b", "ab c", "b c"};
  EXPECT_THAT(parsed(document)->encode("abc"), ElementsAre(257));
}

TEST(TokenizerJson, TellsTheEndsOfAText) {
  json document = small_tokenizer();
  EXPECT_EQ(parsed(document)->bos(), -1);
  EXPECT_EQ(parsed(document)->eos(), -1);
  EXPECT_THAT(parsed(document)->eos_ids(), ElementsAre());
  document["added_tokens"].push_back({{"id", 259}, {"content", "<bos>"}, {"special", true}});
  document["post_processor"] = {{"type", "Sequence"},
                                {"processors",
                                 {{{"type", "ByteLevel"}},
                                  {{"type", "TemplateProcessing"},
                                   {"single",
                                    {{{"SpecialToken", {{"id", "<bos>"}}}},
                                     {{"Sequence", {{"id", "A"}}}},
                                     {{"SpecialToken", {{"id", "<eos>"}}}}}}}}}};
  const auto tokenizer = parsed(document);
  EXPECT_EQ(tokenizer->bos(), 259);
  EXPECT_EQ(tokenizer->eos(), 258);
  EXPECT_TRUE(tokenizer->adds_bos() && tokenizer->adds_eos());
  EXPECT_FALSE(parsed(small_tokenizer())->adds_bos());
  EXPECT_THAT(tokenizer->encode("a"), ElementsAre('a')) << "nothing is added";
}

TEST(TokenizerJson, EndsAreKeptBesideEverythingElse) {
  const std::string text = small_tokenizer().dump(1);
  const std::string with = with_text_ends(text, {97, {258, 98}});
  const auto tokenizer = parse_tokenizer(with, "test");
  EXPECT_EQ(tokenizer->bos(), 97);
  EXPECT_THAT(tokenizer->eos_ids(), ElementsAre(258, 98));
  json without = json::parse(with);
  without["model"].erase("terse");
  EXPECT_EQ(without, small_tokenizer());
  EXPECT_EQ(parse_tokenizer(with_text_ends(with, {-1, {}}), "test")->eos(), -1) << "replaced, not added again";
}

struct Hostile {
  const char* name;
  std::function<void(json&)> change;
  const char* words;
};

json token(int id, const std::string& content) {
  return {{"id", id}, {"content", content}};
}

// Each is a change to a sound file, and words of its message.
const std::vector<Hostile> kHostile = {
    {"no model", [](json& d) { d.erase("model"); }, "neither \"format\": \"terse-tokenizer\" nor a \"model\""},
    {"model is a number", [](json& d) { d["model"] = 3; }, "model: found 3, expected an object"},
    {"another model", [](json& d) { d["model"]["type"] = "Unigram"; },
     "model.type: the model Unigram is not supported"},
    {"version", [](json& d) { d["version"] = "2.0"; }, "version: found version 2.0, expected 1.0"},
    {"no vocabulary", [](json& d) { d["model"].erase("vocab"); }, "model.vocab is missing"},
    {"vocabulary is a list",
     [](json& d) {
       d["model"]["vocab"] = {1, 2};
     },
     "model.vocab: expected an object"},
    {"empty vocabulary", [](json& d) { d["model"]["vocab"] = json::object(); }, "model.vocab: there are no tokens"},
    {"id is a string", [](json& d) { d["model"]["vocab"]["x"] = "5"; },
     "model.vocab[\"x\"]: found \"5\", expected a whole"},
    {"negative id", [](json& d) { d["model"]["vocab"]["x"] = -5; },
     "model.vocab[\"x\"]: found -5, expected a whole number"},
    {"huge id", [](json& d) { d["model"]["vocab"]["x"] = 4294967296; },
     "found 4294967296, expected a whole number from 0"},
    {"id above 64 bits", [](json& d) { d["model"]["vocab"]["x"] = UINT64_MAX; }, "expected a whole number from 0"},
    {"fractional id", [](json& d) { d["model"]["vocab"]["x"] = 1.5; }, "found 1.5, expected a whole number"},
    {"the same id twice", [](json& d) { d["model"]["vocab"]["x"] = 5; }, "the id 5 is that of"},
    {"holes", [](json& d) { d["model"]["vocab"]["x"] = 5000; }, "leaves too many ids without a token"},
    {"no merges", [](json& d) { d["model"].erase("merges"); }, "model.merges is missing"},
    {"merges are an object", [](json& d) { d["model"]["merges"] = json::object(); }, "model.merges: found an object"},
    {"merge of one", [](json& d) { d["model"]["merges"][1] = "ab"; },
     "model.merges[1]: found \"ab\", expected two tokens"},
    {"merge of three", [](json& d) { d["model"]["merges"][1] = "a b c"; }, "model.merges[1]: found \"a b c\""},
    {"merge of one in a list", [](json& d) { d["model"]["merges"][1] = json::array({"a"}); },
     "model.merges[1]: found 1 values"},
    {"merge of numbers",
     [](json& d) {
       d["model"]["merges"][1] = {1, 2};
     },
     "model.merges[1][0]: found 1, expected a string"},
    {"merge is a number", [](json& d) { d["model"]["merges"][1] = 7; }, "model.merges[1]: found 7, expected an array"},
    {"unknown left", [](json& d) { d["model"]["merges"][1] = "zz b"; },
     "model.merges[1]: the token \"zz\" is not in model.vocab"},
    {"unknown result", [](json& d) { d["model"]["merges"][1] = "b c"; },
     "model.merges[1]: the token \"bc\" is not in model.vocab"},
    {"merge makes a special token",
     [](json& d) {
       d["added_tokens"][0] = {{"id", 256}, {"content", "ab"}, {"special", true}};
     },
     "model.merges[0]: the merge makes the special token of added_tokens[0], \"ab\""},
    {"special byte",
     [](json& d) {
       d["added_tokens"][0] = {{"id", 97}, {"content", "a"}, {"special", true}};
     },
     "added_tokens[0]: the special token \"a\" is the token of a byte"},
    {"dropout", [](json& d) { d["model"]["dropout"] = 0.1; }, "model.dropout: dropout of merges is not supported"},
    {"byte fallback", [](json& d) { d["model"]["byte_fallback"] = true; }, "model.byte_fallback: byte fallback is not"},
    {"suffix", [](json& d) { d["model"]["end_of_word_suffix"] = "</w>"; },
     "model.end_of_word_suffix: this is not supported"},
    {"unknown token", [](json& d) { d["model"]["unk_token"] = "<unk>"; },
     "model.unk_token: \"<unk>\" is not in model.vocab"},
    {"flag is a number", [](json& d) { d["model"]["ignore_merges"] = 1; },
     "model.ignore_merges: found 1, expected true or false"},
    {"added tokens are an object", [](json& d) { d["added_tokens"] = json::object(); },
     "added_tokens: found an object"},
    {"added token without id", [](json& d) { d["added_tokens"][0].erase("id"); }, "added_tokens[0].id is missing"},
    {"empty content", [](json& d) { d["added_tokens"][0]["content"] = ""; }, "added_tokens[0].content: found 0 bytes"},
    {"long content", [](json& d) { d["added_tokens"][0]["content"] = std::string(1025, 'x'); },
     "found 1025 bytes, expected 1 to 1024"},
    {"content twice", [](json& d) { d["added_tokens"].push_back(token(259, "<eos>")); },
     "added_tokens[1].content: this is the content of added_tokens[0]"},
    {"added id is taken", [](json& d) { d["added_tokens"].push_back(token(5, "<x>")); },
     "added_tokens[1].id: the id 5 is that of"},
    {"added id differs", [](json& d) { d["added_tokens"].push_back(token(300, "ab")); },
     "added_tokens[1].id: found 300, but model.vocab has the id 256"},
    {"too many added tokens", [](json& d) { d["added_tokens"] = json(65537, 0); },
     "there are more than 65536 added tokens"},
    {"much content",
     [](json& d) {
       for (int i = 0; i < 1028; ++i)
         d["added_tokens"].push_back(token(300 + i, std::to_string(1000 + i) + std::string(1020, '!')));
     },
     "added_tokens: the contents have more than 1048576 bytes together"},
    {"normalizer",
     [](json& d) {
       d["normalizer"] = {{"type", "NFKC"}};
     },
     "normalizer.type: the normalizer NFKC is not supported"},
    {"normalizer in a sequence",
     [](json& d) {
       d["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Lowercase"}}}}};
     },
     "normalizer.normalizers[1].type: the normalizer Lowercase is not supported"},
    {"no pre-tokenizer", [](json& d) { d.erase("pre_tokenizer"); }, "pre_tokenizer is missing"},
    {"pre-tokenizer",
     [](json& d) {
       d["pre_tokenizer"] = {{"type", "Metaspace"}};
     },
     "pre_tokenizer.type: the pre-tokenizer Metaspace is not supported"},
    {"not byte-level",
     [](json& d) {
       d["pre_tokenizer"] = {{"type", "Digits"}};
     },
     "pre_tokenizer: its last step is not ByteLevel"},
    {"a step after bytes",
     [](json& d) {
       d["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {d["decoder"], {{"type", "Digits"}}}}};
     },
     "pre_tokenizer.pretokenizers[1]: a step after ByteLevel is not supported"},
    {"too many steps",
     [](json& d) {
       d["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", json(17, {{"type", "Digits"}})}};
     },
     "pre_tokenizer.pretokenizers[16]: there are more than 16 steps"},
    {"bad pattern",
     [](json& d) {
       d["pre_tokenizer"] = {
           {"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}, {"invert", false}};
     },
     "pre_tokenizer.pattern.Regex: PCRE2 refuses the pattern"},
    {"no pattern",
     [](json& d) {
       d["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Glob", "*"}}}, {"behavior", "Isolated"}};
     },
     "pre_tokenizer.pattern.Regex is missing"},
    {"behavior",
     [](json& d) {
       d["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Doubled"}};
     },
     "pre_tokenizer.behavior: the behavior Doubled is not supported"},
    {"no decoder", [](json& d) { d.erase("decoder"); }, "decoder is missing, expected ByteLevel"},
    {"decoder",
     [](json& d) {
       d["decoder"] = {{"type", "WordPiece"}};
     },
     "decoder.type: the decoder WordPiece is not supported"},
    {"post-processor",
     [](json& d) {
       d["post_processor"] = {{"type", "BertProcessing"}};
     },
     "post_processor.type: the post-processor BertProcessing is not"},
    {"template of an unknown token",
     [](json& d) {
       d["post_processor"] = {{"type", "TemplateProcessing"},
                              {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}}};
     },
     "post_processor.single[0].SpecialToken.id: \"<s>\" is not in model.vocab"},
    {"template without text",
     [](json& d) {
       d["post_processor"] = {{"type", "TemplateProcessing"}, {"single", json::array()}};
     },
     "post_processor.single: the text does not occur"},
    {"template with the text twice",
     [](json& d) {
       d["post_processor"] = {{"type", "TemplateProcessing"}, {"single", json(2, {{"Sequence", {{"id", "A"}}}})}};
     },
     "post_processor.single[1]: the text occurs twice"},
    {"ends outside",
     [](json& d) {
       d["model"]["terse"] = {{"bos", 259}, {"eos", json::array()}};
     },
     "model.terse.bos: found 259, expected a whole number from -1 to 258"},
    {"an end twice",
     [](json& d) {
       d["model"]["terse"] = {{"bos", 1}, {"eos", {2, 2}}};
     },
     "model.terse.eos[1]: this id occurs twice"},
};

TEST(TokenizerJson, RefusesHostileFilesWithPlaceAndReason) {
  ASSERT_NO_THROW(parsed(small_tokenizer()));
  for (const Hostile& hostile : kHostile) {
    json document = small_tokenizer();
    hostile.change(document);
    const std::string message = message_of<DataError>([&] { parsed(document); });
    EXPECT_THAT(message, HasSubstr(hostile.words)) << hostile.name;
    EXPECT_THAT(message, ::testing::StartsWith("test.json: ")) << hostile.name;
  }
}

TEST(TokenizerJson, RefusesHostileTexts) {
  const std::string sound = small_tokenizer().dump();
  const auto message = [](const std::string& text) {
    return message_of<DataError>([&] { parse_tokenizer(text, "test.json"); });
  };
  EXPECT_THAT(message(R"({"model":{"vocab":{"a":0,"a":1}}})"), HasSubstr("an object has the same key twice"));
  EXPECT_THAT(message(R"({"model":1,"model":2})"), HasSubstr("an object has the same key twice"));
  EXPECT_THAT(message(std::string(100000, '[')), HasSubstr("deeper than 64 levels"));
  EXPECT_THAT(message("{\"model\":\"\xFF\"}"), HasSubstr("ill-formed UTF-8"));
  EXPECT_THAT(message(sound.substr(0, sound.size() / 2)), HasSubstr("parse error"));
  EXPECT_THAT(message(sound + "x"), HasSubstr("parse error"));
  EXPECT_THAT(message("\xEF\xBB\xBF" + sound), HasSubstr("byte order mark"));
  std::string steps = R"({"type":"NFC"})";
  for (int i = 0; i < 40; ++i) steps = R"({"type":"Sequence","normalizers":[)" + steps + "]}";
  EXPECT_THAT(message(sound.substr(0, sound.size() - 1) + R"(,"normalizer":)" + steps + "}"),
              HasSubstr("deeper than 64"));
}

TEST(TokenizerJson, ADamagedFileIsRefusedOrAnotherTokenizer) {
  std::mt19937_64 random(9);
  json document = small_tokenizer();
  const std::string sound = document.dump();
  const size_t rest = sound.find("\"merges\"");  // most of the text is the vocabulary, which needs fewer of the tries
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = sound;
    for (int64_t times = below(random, 3); times >= 0; --times) {
      const size_t begin = below(random, 2) == 0 ? 0 : rest;
      const size_t at = begin + static_cast<size_t>(below(random, static_cast<int64_t>(damaged.size() - begin)));
      if (below(random, 3) == 0) {
        damaged.erase(at, 1 + static_cast<size_t>(below(random, 8)));
      } else {
        damaged[at] = static_cast<char>(below(random, 2) == 0 ? random() : damaged[at] ^ (1 << below(random, 7)));
      }
      if (damaged.size() <= rest) break;
    }
    try {
      const auto tokenizer = parse_tokenizer(damaged, "test");
      EXPECT_EQ(parse_tokenizer(tokenizer->definition(), "test")->id(), tokenizer->id());
      for (const int32_t id : tokenizer->encode("abc <eos> 12")) EXPECT_LT(id, tokenizer->vocab_size());
    } catch (const DataError&) {
    } catch (const EncodeError&) {
    }
  }
}

}  // namespace
}  // namespace terse::data
