// Maps each code point to its index in the sorted vocabulary.
#include "data/tokenizers/char_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "base/utf8.h"

namespace terse::data {

namespace {

bool is_scalar_value(char32_t c) {
  return c < 0xD800 || (c > 0xDFFF && c <= 0x10FFFF);
}

CodePoint require_code_point(std::string_view text, size_t offset) {
  const CodePoint point = first_code_point(text.substr(offset));
  if (point.length == 0) {
    throw EncodeError(fmt::format("invalid UTF-8 (byte 0x{:02X})", static_cast<uint8_t>(text[offset])), text,
                      static_cast<int64_t>(offset));
  }
  return point;
}

}  // namespace

void CharacterSet::add(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const CodePoint point = require_code_point(text, i);
    seen_[point.value] = true;
    i += point.length;
  }
}

std::vector<char32_t> CharacterSet::characters() const {
  std::vector<char32_t> characters;
  for (char32_t c = 0; c < seen_.size(); ++c) {
    if (seen_[c]) characters.push_back(c);
  }
  return characters;
}

CharTokenizer::CharTokenizer(std::vector<char32_t> characters) : characters_(std::move(characters)) {
  std::sort(characters_.begin(), characters_.end());
  characters_.erase(std::unique(characters_.begin(), characters_.end()), characters_.end());
  if (characters_.empty()) throw std::invalid_argument("a character vocabulary needs at least one character");
  std::string all;
  for (const char32_t c : characters_) {
    if (!is_scalar_value(c)) {
      throw std::invalid_argument(fmt::format("U+{:04X} is not a Unicode character", static_cast<uint32_t>(c)));
    }
    ids_.emplace(c, static_cast<int32_t>(ids_.size()));
    append_utf8(all, c);
  }
  id_ = "char:" + sha256_bytes(all).substr(0, 16);
}

std::vector<int32_t> CharTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const CodePoint point = require_code_point(text, i);
    const auto found = ids_.find(point.value);
    if (found == ids_.end()) {
      throw EncodeError(fmt::format("character {} is not among the {} characters of {}",
                                    describe_character(point.value), vocab_size(), id_),
                        text, static_cast<int64_t>(i));
    }
    ids.push_back(found->second);
    i += point.length;
  }
  return ids;
}

std::string CharTokenizer::decode(const std::vector<int32_t>& ids) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size()) {
      throw std::out_of_range(fmt::format("token id {} is outside the vocabulary of {} ({})", id, vocab_size(), id_));
    }
    append_utf8(text, characters_[id]);
  }
  return text;
}

std::string CharTokenizer::definition() const {
  nlohmann::json list = nlohmann::json::array();
  for (const char32_t c : characters_) {
    std::string text;
    append_utf8(text, c);
    list.push_back(std::move(text));
  }
  return nlohmann::json{{"format", "terse-tokenizer"}, {"version", 1}, {"kind", "char"}, {"characters", list}}.dump();
}

size_t CharTokenizer::split_point(std::string_view text) const {
  return whole_characters(text);
}

}  // namespace terse::data
