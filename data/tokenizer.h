// Text to token ids and back. Token ids are the only transport between the parts of terse; text exists at the edges.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace terse::data {

// Text that a vocabulary cannot write.
class EncodeError : public std::invalid_argument {
 public:
  // what() is "<reason> at byte <offset>, line <line>"; the line is counted from 1.
  EncodeError(std::string reason, std::string_view text, int64_t offset);

  const std::string& reason() const { return reason_; }
  int64_t offset() const { return offset_; }  // bytes from the start of the text given to encode()

 private:
  std::string reason_;
  int64_t offset_;
};

// Immutable, so that any number of threads may use one.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocab_size() const = 0;
  // Throws EncodeError naming the character and its offset when the text cannot be written in this vocabulary.
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  // Readable text of the ids. decode(encode(text)) is the text (symbol tokenizers: but for spaces). Throws
  // std::out_of_range naming the id when it is outside the vocabulary.
  virtual std::string decode(const std::vector<int32_t>& ids) const = 0;
  // Identifies vocabulary and rules, e.g. "byte", "char:<hash>", "symbol:chain7:<hash>"; stored beside data and
  // checkpoints.
  virtual std::string id() const = 0;
  virtual int32_t bos() const = 0;  // -1: none
  virtual int32_t eos() const = 0;  // -1: none

  // JSON text from which parse_tokenizer() makes the same tokenizer (same id()); stored where a reader must need
  // nothing else.
  virtual std::string definition() const = 0;
  // A number n of bytes such that encode(text + more) = encode(text[0, n)) followed by encode(text[n, ...) + more)
  // whatever `more` is; as large as can be told. A text larger than memory is encoded in such pieces. 0: it must be
  // encoded whole.
  virtual size_t split_point(std::string_view text) const = 0;
};

}  // namespace terse::data
