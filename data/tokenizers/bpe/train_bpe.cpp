// Counts the words of the files, learns merges from the counts, and writes a tokenizer.json.
#include "data/tokenizers/bpe/train_bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/errors.h"
#include "base/utf8.h"
#include "data/text_reader.h"
#include "data/tokenizers/bpe/byte_level.h"
#include "data/tokenizers/bpe/merge_learner.h"
#include "data/tokenizers/hf/json_place.h"
#include "data/tokenizers/hf/patterns.h"
#include "data/tokenizers/hf/split_steps_json.h"
#include "data/tokenizers/hf/write_tokenizer_json.h"
#include "data/tokenizers/tokenizer_factory.h"

namespace terse::data {

namespace {

constexpr int64_t kMaxVocabulary = 1 << 22;

Cutting cutting_of(const std::string& name) {
  if (name == "gpt2") return {false, false, kGpt2Pattern};
  if (name == "llama3") return {false, false, kLlama3Pattern};
  if (name == "qwen2") return {false, false, kQwen2Pattern};
  throw ConfigError(fmt::format("the pattern \"{}\" is not known; known: gpt2, llama3, qwen2", name));
}

// Special tokens, then the bytes in the order of their characters, as the library orders them.
std::vector<std::string> first_tokens(const BpeTraining& options) {
  std::vector<std::string> tokens = options.special_tokens;
  std::set<char32_t> characters;
  for (int byte = 0; byte < 256; ++byte) characters.insert(byte_character(static_cast<uint8_t>(byte)));
  for (const char32_t c : characters) append_utf8(tokens.emplace_back(), c);
  std::set<std::string> seen;
  for (const std::string& token : tokens) {
    const bool valid = !token.empty() && find_invalid_utf8(token) == std::string_view::npos;
    if (!valid || !seen.insert(token).second) {
      throw ConfigError(
          fmt::format("the special token \"{}\" is empty, not UTF-8, or there already", printable(token)));
    }
  }
  if (options.vocab_size < static_cast<int64_t>(tokens.size()) || options.vocab_size > kMaxVocabulary) {
    throw ConfigError(
        fmt::format("the vocabulary has {} tokens, expected {} to {}: {} special tokens and 256 bytes are in it",
                    options.vocab_size, tokens.size(), kMaxVocabulary, options.special_tokens.size()));
  }
  return tokens;
}

using WordCounts = std::unordered_map<std::string, int64_t>;

WordCounts count_words(const std::vector<std::filesystem::path>& files, const BpeTraining& options,
                       const Progress& progress) {
  const nlohmann::json preparation = nlohmann::json::parse(write_preparation(cutting_of(options.pattern)));
  const PreTokenizer cutter(read_preparation(JsonPlace(preparation)).steps);
  WordCounts counts;
  TextOptions text;
  text.separator = options.separator;
  text.progress = progress;
  text.split_point = [&](std::string_view piece) -> size_t {
    const std::string_view whole = piece.substr(0, whole_characters(piece));
    if (find_invalid_utf8(whole) != std::string_view::npos) return whole.size();  // counting the words refuses it
    return cutter.last_boundary(whole, [](size_t) { return true; });
  };
  read_documents(files, text, [&](std::string_view piece, bool) {
    if (const size_t bad = find_invalid_utf8(piece); bad != std::string_view::npos) {
      throw EncodeError(fmt::format("invalid UTF-8 (byte 0x{:02X})", static_cast<uint8_t>(piece[bad])), piece,
                        static_cast<int64_t>(bad));
    }
    cutter.split(piece, [&](std::string_view word) { ++counts[std::string(word)]; });
  });
  return counts;
}

}  // namespace

std::shared_ptr<const Tokenizer> train_bpe_tokenizer(const std::vector<std::filesystem::path>& files,
                                                     const BpeTraining& options, const Progress& progress) {
  const std::vector<std::string> tokens = first_tokens(options);
  std::unordered_map<std::string, int32_t> id_of;
  for (size_t id = 0; id < tokens.size(); ++id) id_of.emplace(tokens[id], static_cast<int32_t>(id));
  std::array<int32_t, 256> byte_id{};
  for (int byte = 0; byte < 256; ++byte) {
    byte_id[static_cast<size_t>(byte)] = id_of.at(to_byte_characters(std::string(1, static_cast<char>(byte))));
  }
  std::vector<MergeLearner::Word> words;
  for (const auto& [text, count] : count_words(files, options, progress)) {
    MergeLearner::Word& word = words.emplace_back();
    word.count = count;
    for (const char byte : text) word.tokens.push_back(byte_id[static_cast<uint8_t>(byte)]);
  }
  if (words.empty()) {
    throw DataError(fmt::format("{}: there is no text to learn from", files.empty() ? "no file" : files[0].string()));
  }
  MergeLearner learner(tokens, std::move(words));
  learner.run(static_cast<size_t>(options.vocab_size));

  WrittenTokenizer written;
  written.tokens = learner.tokens();
  written.cutting = cutting_of(options.pattern);
  for (const MergeLearner::Pair& pair : learner.merges()) {
    written.merges.emplace_back(written.tokens[static_cast<size_t>(pair.first)],
                                written.tokens[static_cast<size_t>(pair.second)]);
  }
  for (size_t i = 0; i < options.special_tokens.size(); ++i) {
    written.added.push_back({static_cast<int32_t>(i), options.special_tokens[i], true, false});
  }
  if (!options.special_tokens.empty()) written.eos = {0};
  return parse_tokenizer(write_tokenizer_json(written), "the trained tokenizer");
}

}  // namespace terse::data
