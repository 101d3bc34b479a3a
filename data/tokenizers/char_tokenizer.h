// Encodes characters (Unicode code points). The vocabulary consists of the characters of a training text in ascending
// order, without special tokens.
#pragma once

#include <unordered_map>

#include "data/tokenizers/tokenizer.h"

namespace terse::data {

// Collects the characters of texts.
class CharacterSet {
 public:
  void add(std::string_view text);           // throws EncodeError where the text is not UTF-8
  std::vector<char32_t> characters() const;  // ascending

 private:
  std::vector<bool> seen_ = std::vector<bool>(0x110000);
};

class CharTokenizer final : public Tokenizer {
 public:
  // The characters may be in any order and may repeat. Throws std::invalid_argument when there is none, or when one is
  // not a Unicode scalar value.
  explicit CharTokenizer(std::vector<char32_t> characters);

  int64_t vocab_size() const override { return static_cast<int64_t>(characters_.size()); }
  std::vector<int32_t> encode(std::string_view text) const override;  // also throws where the text is not UTF-8
  std::string decode(const std::vector<int32_t>& ids) const override;
  std::string id() const override { return id_; }
  int32_t bos() const override { return -1; }
  int32_t eos() const override { return -1; }
  std::string definition() const override;
  size_t split_point(std::string_view text) const override;

  const std::vector<char32_t>& characters() const { return characters_; }

 private:
  std::vector<char32_t> characters_;  // ascending
  std::unordered_map<char32_t, int32_t> ids_;
  std::string id_;
};

}  // namespace terse::data
