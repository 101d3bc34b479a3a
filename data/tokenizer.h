// Text to token ids and back. Token ids are the only transport between the parts of terse; text exists at the edges.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace terse::data {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocab_size() const = 0;
  // Throws std::invalid_argument naming the character and its offset when the text cannot be written in this vocabulary.
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  // Inverse of encode. Throws std::out_of_range naming the id when it is outside the vocabulary.
  virtual std::string decode(const std::vector<int32_t>& ids) const = 0;
  // Identifies vocabulary and rules, e.g. "byte", "char:sha256-prefix", "symbol:chain7:..."; stored beside data and checkpoints.
  virtual std::string id() const = 0;
  virtual int32_t bos() const = 0;  // -1: none
  virtual int32_t eos() const = 0;  // -1: none
};

}  // namespace terse::data
