// Builds the document member by member. Members that the library reads and that are not used are null.
#include "data/tokenizers/hf/write_tokenizer_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "base/utf8.h"
#include "data/tokenizers/hf/patterns.h"

namespace terse::data {

namespace {

using nlohmann::json;

json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

json preparation(const Cutting& cutting) {
  json steps = json::array();
  if (cutting.single_digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  const bool is_gpt2 = std::string_view(cutting.pattern) == kGpt2Pattern;
  if (!is_gpt2) {
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", cutting.pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  steps.push_back(byte_level(is_gpt2));
  return {{"normalizer", cutting.nfc ? json{{"type", "NFC"}} : json()},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}}};
}

json model_of(const WrittenTokenizer& tokenizer) {
  json vocab = json::object();
  for (size_t id = 0; id < tokenizer.tokens.size(); ++id) {
    const std::string& token = tokenizer.tokens[id];
    if (token.empty()) continue;
    const auto [entry, is_new] = vocab.emplace(token, id);
    if (!is_new) {
      throw std::invalid_argument(
          fmt::format("the tokens {} and {} are both \"{}\"", entry->dump(), id, printable(token)));
    }
  }
  json merges = json::array();
  for (const auto& [left, right] : tokenizer.merges) merges.push_back({left, right});
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", tokenizer.ignore_merges},
          {"terse", {{"bos", tokenizer.bos}, {"eos", tokenizer.eos}}},
          {"vocab", vocab},
          {"merges", merges}};
}

// What stands before and after a text: "single" for one text, and "pair" for two, which the library demands.
json post_processor(const WrittenTokenizer& tokenizer) {
  json before = json::array(), after = json::array(), special = json::object();
  const auto add = [&](json& list, int32_t id) {
    for (const AddedToken& token : tokenizer.added) {
      if (token.id != id) continue;
      list.push_back({{"SpecialToken", {{"id", token.content}, {"type_id", 0}}}});
      special[token.content] = {{"id", token.content}, {"ids", {id}}, {"tokens", {token.content}}};
    }
  };
  if (tokenizer.adds_bos) add(before, tokenizer.bos);
  if (tokenizer.adds_eos && !tokenizer.eos.empty()) add(after, tokenizer.eos[0]);
  if (before.empty() && after.empty()) return byte_level(true);
  const auto around = [&](const std::vector<const char*>& texts) {
    json list = json::array();
    for (const char* text : texts) {
      list.insert(list.end(), before.begin(), before.end());
      list.push_back({{"Sequence", {{"id", text}, {"type_id", text == std::string_view("A") ? 0 : 1}}}});
      list.insert(list.end(), after.begin(), after.end());
    }
    return list;
  };
  return {{"type", "TemplateProcessing"},
          {"single", around({"A"})},
          {"pair", around({"A", "B"})},
          {"special_tokens", special}};
}

}  // namespace

std::string write_tokenizer_json(const WrittenTokenizer& tokenizer) {
  json added = json::array();
  for (const AddedToken& token : tokenizer.added) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", token.single_word},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  json document = preparation(tokenizer.cutting);
  document["version"] = "1.0";
  document["truncation"] = nullptr;
  document["padding"] = nullptr;
  document["added_tokens"] = std::move(added);
  document["post_processor"] = post_processor(tokenizer);
  document["decoder"] = byte_level(true);
  document["model"] = model_of(tokenizer);
  return document.dump();
}

std::string write_preparation(const Cutting& cutting) {
  return preparation(cutting).dump();
}

}  // namespace terse::data
