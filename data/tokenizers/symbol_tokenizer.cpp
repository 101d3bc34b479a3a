// Encodes by greedy longest match over a fixed list of symbols.
#include "data/tokenizers/symbol_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/sha256.h"
#include "base/utf8.h"

namespace terse::data {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

std::vector<std::string> characters_of(const std::string& symbol) {
  std::vector<std::string> characters;
  for (size_t i = 0; i < symbol.size();) {
    const int length = first_code_point(std::string_view(symbol).substr(i)).length;
    if (length == 0) throw std::invalid_argument(fmt::format("symbol \"{}\" is not UTF-8", printable(symbol)));
    if (is_space(symbol[i])) throw std::invalid_argument(fmt::format("symbol \"{}\" contains white space", symbol));
    characters.push_back(symbol.substr(i, length));
    i += length;
  }
  if (characters.empty()) throw std::invalid_argument("a symbol is empty");
  return characters;
}

}  // namespace

SymbolTokenizer::SymbolTokenizer(std::string name, std::vector<std::string> symbols)
    : name_(std::move(name)), symbols_(std::move(symbols)), by_length_(symbols_.size()), single_(symbols_.size()) {
  if (symbols_.empty()) throw std::invalid_argument(fmt::format("symbol vocabulary \"{}\" is empty", name_));
  if (printable(name_) != name_) throw std::invalid_argument("the name of a symbol vocabulary is not UTF-8");
  std::set<std::string> seen;
  for (size_t i = 0; i < symbols_.size(); ++i) {
    const std::vector<std::string> characters = characters_of(symbols_[i]);
    if (!seen.insert(symbols_[i]).second) {
      throw std::invalid_argument(fmt::format("symbol \"{}\" occurs twice in vocabulary \"{}\"", symbols_[i], name_));
    }
    single_[i] = characters.size() == 1;
    for (size_t c = 1; c < characters.size(); ++c) adjacent_.emplace(characters[c - 1], characters[c]);
    if (symbols_[i] == "<bos>") bos_ = static_cast<int32_t>(i);
    if (symbols_[i] == "<eos>") eos_ = static_cast<int32_t>(i);
  }
  std::iota(by_length_.begin(), by_length_.end(), 0);
  std::stable_sort(by_length_.begin(), by_length_.end(),
                   [&](int32_t a, int32_t b) { return symbols_[a].size() > symbols_[b].size(); });
  std::string all;
  for (const std::string& symbol : symbols_) all += symbol + '\n';
  id_ = fmt::format("symbol:{}:{}", name_, sha256_bytes(all).substr(0, 16));
}

int32_t SymbolTokenizer::match(std::string_view text) const {
  for (const int32_t id : by_length_) {
    if (text.starts_with(symbols_[id])) return id;
  }
  return -1;
}

std::vector<int32_t> SymbolTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < text.size();) {
    if (is_space(text[i])) {
      ++i;
      continue;
    }
    const int32_t id = match(text.substr(i));
    if (id < 0) {
      const CodePoint point = first_code_point(text.substr(i));
      const std::string what = point.length > 0 ? "character " + describe_character(point.value)
                                                : fmt::format("byte 0x{:02X}", static_cast<uint8_t>(text[i]));
      throw EncodeError(fmt::format("no symbol of {} starts with {}", id_, what), text, static_cast<int64_t>(i));
    }
    ids.push_back(id);
    i += symbols_[id].size();
  }
  return ids;
}

// A run without spaces contains only single characters, and no two neighbours that are adjacent in a longer symbol. So
// no longer symbol can match inside a run, and each character is read as itself.
bool SymbolTokenizer::needs_space(int32_t left, int32_t right) const {
  if (!single_[left] || !single_[right]) return true;
  return adjacent_.contains({symbols_[left], symbols_[right]});
}

std::string SymbolTokenizer::decode(const std::vector<int32_t>& ids) const {
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab_size()) {
      throw std::out_of_range(
          fmt::format("token id {} is outside the vocabulary of {} ({})", ids[i], vocab_size(), id_));
    }
    if (i > 0 && needs_space(ids[i - 1], ids[i])) text += ' ';
    text += symbols_[ids[i]];
  }
  return text;
}

std::string SymbolTokenizer::definition() const {
  return nlohmann::json{
      {"format", "terse-tokenizer"}, {"version", 1}, {"kind", "symbol"}, {"name", name_}, {"symbols", symbols_}}
      .dump();
}

size_t SymbolTokenizer::split_point(std::string_view text) const {
  size_t n = text.size();
  while (n > 0 && !is_space(text[n - 1])) --n;
  return n;
}

int32_t SymbolTokenizer::id_of(std::string_view symbol) const {
  const auto found = std::find(symbols_.begin(), symbols_.end(), symbol);
  if (found == symbols_.end()) {
    throw std::invalid_argument(fmt::format("\"{}\" is not a symbol of {}", symbol, id_));
  }
  return static_cast<int32_t>(found - symbols_.begin());
}

}  // namespace terse::data
