// Loads the tokenizers of tests/data/tokenizers/fixtures, and makes variants of a small tokenizer.json.
#pragma once

#include <nlohmann/json.hpp>

#include "data/tokenizers/bpe/byte_level.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "tests/data/support.h"

namespace terse::data {

inline const std::vector<std::string> kFixtures = {"gpt2", "smollm", "llama3", "qwen2", "prefix"};

inline std::filesystem::path fixture_path(const std::string& name) {
  return std::filesystem::path(TERSE_SOURCE_DIR) / "tests/data/tokenizers/fixtures" / name;
}

inline std::shared_ptr<const Tokenizer> fixture(const std::string& name) {
  return load_tokenizer(fixture_path(name + ".tokenizer.json"));
}

inline const nlohmann::json& expected() {
  static const nlohmann::json kDocument = nlohmann::json::parse(read_file(fixture_path("expected.json")));
  return kDocument;
}

// A tokenizer.json with all bytes (ids 0 to 255, in order of the bytes), "ab" (256), "abc" (257) and "<eos>" (258).
inline nlohmann::json small_tokenizer() {
  nlohmann::json vocab = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte) vocab[to_byte_characters(std::string(1, static_cast<char>(byte)))] = byte;
  vocab["ab"] = 256;
  vocab["abc"] = 257;
  const nlohmann::json bytes = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"added_tokens", {{{"id", 258}, {"content", "<eos>"}, {"special", true}, {"normalized", false}}}},
          {"pre_tokenizer", bytes},
          {"decoder", bytes},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"a b", "ab c"}}}}};
}

inline std::shared_ptr<const Tokenizer> parsed(const nlohmann::json& document) {
  return parse_tokenizer(document.dump(), "test.json");
}

}  // namespace terse::data
