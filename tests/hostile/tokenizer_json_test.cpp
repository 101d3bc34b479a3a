// Reads hostile files tokenizer.json through what loads the vocabulary of model.init, and encodes with those that load.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/tokenizers/bpe/byte_level.h"
#include "tests/hostile/hostile_files.h"
#include "tests/hostile/model_folder.h"
#include "tests/hostile/peak_memory.h"

namespace terse::support {
namespace {

using nlohmann::ordered_json;

// All bytes (ids 0 to 255), "ab" (256), "abc" (257) and "<eos>" (258).
ordered_json sound_document() {
  ordered_json vocab = ordered_json::object();
  for (int byte = 0; byte < 256; ++byte)
    vocab[data::to_byte_characters(std::string(1, static_cast<char>(byte)))] = byte;
  vocab["ab"] = 256;
  vocab["abc"] = 257;
  const ordered_json bytes = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const ordered_json split = {
      {"type", "Split"}, {"pattern", {{"Regex", "\\s+|\\S+"}}}, {"behavior", "Isolated"}, {"invert", false}};
  const ordered_json single = {{{"SpecialToken", {{"id", "<eos>"}, {"type_id", 0}}}},
                               {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"added_tokens",
           {{{"id", 258},
             {"content", "<eos>"},
             {"special", true},
             {"normalized", false},
             {"lstrip", false},
             {"rstrip", false},
             {"single_word", false}}}},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}}},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, bytes}}}},
          {"post_processor",
           {{"type", "Sequence"}, {"processors", {bytes, {{"type", "TemplateProcessing"}, {"single", single}}}}}},
          {"decoder", bytes},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", vocab},
            {"merges", {"a b", "ab c"}},
            {"terse", {{"bos", -1}, {"eos", {258, 257}}}}}}};
}

using Edit = std::function<void(ordered_json&)>;

std::string edited(const Edit& edit) {
  ordered_json document = sound_document();
  edit(document);
  return document.dump();
}

// Patterns that are refused because nothing may nest, repeat or refer as they do.
std::vector<HostileFile> hostile_patterns() {
  const auto repeated = [](const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  const std::vector<std::string> patterns = {"",
                                             "a*",
                                             "a|",
                                             "(a",
                                             "a)",
                                             "[a",
                                             "a{2",
                                             "*a",
                                             "a**",
                                             "(a)\\1",
                                             "(?<n>a)\\k<n>",
                                             "(?R)",
                                             "(?1)(a)",
                                             "\\Ga",
                                             "a\\Kb",
                                             "(*LIMIT_MATCH=1)a",
                                             "(?{code})",
                                             "(?C1)a",
                                             "\\p{Greek}",
                                             "\\p{L",
                                             "\\x{110000}",
                                             "\\x{D800}",
                                             "\\x{FFFFFFFFFFFFFFFF}",
                                             "a{99999999999}",
                                             "(a{65535}){65535}",
                                             repeated("(", 1000) + "a" + repeated(")", 1000),
                                             std::string(8193, 'a'),
                                             repeated("(a{1,255}){1,255}", 40),
                                             "(?i:\xc3\xa9)",
                                             "[[:alpha:]]",
                                             "[a&&b]",
                                             "[z-a]",
                                             "\\",
                                             "(?<=a*)b",
                                             repeated("((a|b){0,200}){1,200}", 9),
                                             "(?>a*)b(?<!c*)",
                                             "\\R+",
                                             "\\X",
                                             "\\C",
                                             std::string("a\0b", 3)};
  std::vector<HostileFile> files;
  for (const std::string& pattern : patterns) {
    ordered_json document = sound_document();
    document["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = pattern;
    files.push_back({"pattern " + pattern.substr(0, 30), document.dump(), {}, {"pattern", "Regex"}});
  }
  return files;
}

std::vector<HostileFile> hostile_documents() {
  const auto token = [](int64_t id, const std::string& content) {
    return ordered_json{{"id", id}, {"content", content}};
  };
  std::vector<HostileFile> files;
  const auto add = [&](const std::string& what, const Edit& edit, std::vector<std::string> words) {
    files.push_back({what, edited(edit), std::move(words)});
  };
  for (const int64_t id : {int64_t{-1}, int64_t{5000}, (int64_t{1} << 22) - 1, int64_t{1} << 22, int64_t{INT32_MAX},
                           int64_t{1} << 31, int64_t{1} << 32, INT64_MAX, INT64_MIN}) {
    add(fmt::format("vocabulary with id {}", id), [&](auto& d) { d["model"]["vocab"]["x y"] = id; }, {"model.vocab"});
    add(fmt::format("added token with id {}", id), [&](auto& d) { d["added_tokens"].push_back(token(id, "<x>")); }, {});
    add(fmt::format("end with id {}", id), [&](auto& d) { d["model"]["terse"]["eos"] = ordered_json::array({id}); },
        {"model.terse.eos[0]"});
  }
  for (const int id : {0, 97, 255, 256, 258}) {
    add(fmt::format("id {} twice", id), [&](auto& d) { d["model"]["vocab"]["zz"] = id; }, {"zz"});
    add(fmt::format("added token with the id {}", id), [&](auto& d) { d["added_tokens"].push_back(token(id, "<x>")); },
        {"added_tokens[1].id"});
  }
  // Merges: of tokens that are not there, in a circle, of themselves.
  for (const char* merge : {"", " ", "a", "a  b", "a b c", "b c", "zz a", "a zz", "abc abc", "<eos> a", "a <eos>"}) {
    add(fmt::format("merge '{}'", merge), [&](auto& d) { d["model"]["merges"].push_back(merge); }, {"model.merges[2]"});
  }
  add("a merge makes a special token",
      [&](auto& d) {
        d["model"]["vocab"]["<e"] = 259, d["model"]["vocab"]["os>"] = 260, d["model"]["merges"].push_back("<e os>");
      },
      {"model.merges[2]", "special token"});
  add("a byte is special",
      [&](auto& d) {
        d["added_tokens"].push_back({{"id", 97}, {"content", "a"}, {"special", true}});
      },
      {"special token \"a\""});
  for (const char* type : {"WordPiece", "Unigram", "WordLevel", "", "bpe"})
    add(type, [&](auto& d) { d["model"]["type"] = type; }, {"model.type"});
  for (const char* type : {"Lowercase", "NFKC", "Replace", "Precompiled"})
    add(type, [&](auto& d) { d["normalizer"] = {{"type", type}}; }, {"normalizer.type"});
  for (const char* type : {"Metaspace", "Whitespace", "BertPreTokenizer", "Punctuation"})
    add(type, [&](auto& d) { d["pre_tokenizer"] = {{"type", type}}; }, {"pre_tokenizer.type"});
  ordered_json nested = {{"type", "NFC"}};
  for (int i = 0; i < 40; ++i) nested = {{"type", "Sequence"}, {"normalizers", {nested}}};
  add("normalizers nested", [&](auto& d) { d["normalizer"] = nested; }, {"nests deeper than 64 levels"});
  ordered_json steps = sound_document()["decoder"];
  for (int i = 0; i < 10; ++i) steps = {{"type", "Sequence"}, {"pretokenizers", {steps, steps}}};
  add("pre-tokenizers that double ten times", [&](auto& d) { d["pre_tokenizer"] = steps; }, {"pre_tokenizer"});
  add("17 steps",
      [&](auto& d) {
        d["pre_tokenizer"]["pretokenizers"] = ordered_json(17, {{"type", "Digits"}});
      },
      {"more than 16 steps"});
  return files;
}

// Files of a megabyte whose parts take as much memory or time as can be. Each has one mistake.
std::vector<HostileFile> large_documents() {
  ordered_json merges = sound_document(), tokens = sound_document(), added = sound_document(), ends = sound_document(),
               lists = sound_document();
  for (int i = 0; i < 100000; ++i) merges["model"]["merges"].push_back(i % 2 == 0 ? "a b" : "ab c");
  merges["model"]["merges"].push_back("a");
  for (int i = 0; i < 60000; ++i) {
    tokens["model"]["vocab"][fmt::format("{:x}!", i)] = 259 + i;
    ends["model"]["vocab"][fmt::format("{:x}!", i)] = 259 + i;
    ends["model"]["terse"]["eos"].push_back(259 + i);
  }
  tokens["decoder"] = nullptr;
  for (int i = 0; i < 20000; ++i)
    added["added_tokens"].push_back({{"id", 259 + i}, {"content", fmt::format("{:x}!", i)}});
  added["decoder"] = nullptr;
  lists["truncation"] = ordered_json(300000, ordered_json::array());
  lists["decoder"] = nullptr;
  return {{"many merges", merges.dump(), {"model.merges[100002]"}},
          {"many tokens", tokens.dump(), {"decoder is missing"}},
          {"many added tokens", added.dump(), {"decoder is missing"}},
          {"many ends", ends.dump(), {"model.terse.eos"}},
          {"many lists", lists.dump(), {"decoder is missing"}}};
}

TEST(HostileTokenizerJson, IsRefusedWithAClearError) {
  const ModelFolder folder;
  HostileFiles files(folder.path() / "tokenizer.json", {80, 1u << 20}, [&] { read_vocabulary(folder.path()); });
  const std::string sound = sound_document().dump();
  files.refuse_or_read({"sound", sound, {}});
  ASSERT_EQ(files.harmless(), 1u) << "the file that all others are made of is wrong";
  for (const auto& list : {hostile_patterns(), hostile_documents(), large_documents()}) {
    for (const HostileFile& file : list) files.refuse(file);
  }
  for (HostileFile file : hostile_json(sound, {"/model/vocab", "/decoder", "/post_processor/processors/0"})) {
    file.any.clear();  // what is wrong may be another token than the one that is missing now
    files.refuse_or_read(file);
  }
  // Tokenizers of terse's own, which an exported model has under this name.
  for (const char* own :
       {R"({"format":"terse-tokenizer","version":1,"kind":"char","characters":["a","b"]})",
        R"({"format":"terse-tokenizer","version":1,"kind":"symbol","name":"n","symbols":["a","b"]})"}) {
    for (HostileFile file : hostile_json(own)) {
      file.any.clear();
      files.refuse_or_read(file);
    }
  }
  for (size_t at = 0; at < sound.size(); at += 211)
    files.refuse({fmt::format("cut at {}", at), sound.substr(0, at), {}});
  for (const HostileFile& file : damaged(sound, 5, 200)) files.refuse_or_read(file);
  const size_t rest = sound.find("\"merges\"");  // what follows the vocabulary
  for (HostileFile file : damaged(sound.substr(rest), 6, 200)) {
    file.content = sound.substr(0, rest) + file.content;
    files.refuse_or_read(file);
  }
  files.finish("tokenizer.json");
}

// A pattern may be sound and take exponential time on some text. The limit on the steps of a match ends it, and the
// error names the place in the text. These files are no part of the count above.
TEST(HostileTokenizerJson, PatternsThatBacktrackEndWithAnError) {
  const ModelFolder folder;
  const std::string text = std::string(60, 'a') + "!b";  // PCRE2 does not look farther where a text has no b
  for (const char* pattern : {"(a+)+b", "(a|aa)+b", "(a|a)*b", "(?:a*)*b", "(a?){40}a{40}b", "(?=(a+)+b)a|b",
                              "([a-z]+)*\\d", "(?:(?:a+)+)+b", "a*a*a*a*a*a*a*a*a*b"}) {
    SCOPED_TRACE(pattern);
    ordered_json document = sound_document();
    document["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = pattern;
    std::ofstream(folder.path() / "tokenizer.json") << document.dump();
    const PeakMemory memory;
    const auto tokenizer = trainer::load_model_vocabulary(folder.path()).tokenizer;
    try {
      tokenizer->encode(text);
      ADD_FAILURE() << "it was encoded";
    } catch (const data::EncodeError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("a pattern of the tokenizer takes too many steps"))
          << error.what();
    }
    EXPECT_LT(memory.bytes(), 20u << 20);  // 8 MiB of them are the stack of a match
  }
}

}  // namespace
}  // namespace terse::support
