// Encodes every byte as one token, and adds <bos> and <eos>. It can encode any text and needs no training.
#pragma once

#include "data/tokenizers/tokenizer.h"

namespace terse::data {

class ByteTokenizer final : public Tokenizer {
 public:
  static constexpr int32_t kBos = 256;
  static constexpr int32_t kEos = 257;

  int64_t vocab_size() const override { return 258; }
  std::vector<int32_t> encode(std::string_view text) const override;
  // <bos> and <eos> decode to nothing, and no text encodes to them. The result need not be UTF-8 (see printable() in
  // base/utf8.h).
  std::string decode(const std::vector<int32_t>& ids) const override;
  std::string id() const override { return "byte"; }
  int32_t bos() const override { return kBos; }
  int32_t eos() const override { return kEos; }
  std::string definition() const override;
  size_t split_point(std::string_view text) const override { return text.size(); }
};

}  // namespace terse::data
