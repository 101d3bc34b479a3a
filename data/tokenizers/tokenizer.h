// Defines the interface that converts text to token ids and back. The parts of terse exchange only token ids. Text
// exists only at the input and the output.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "data/span.h"

namespace terse::data {

// A vocabulary cannot encode a text.
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

// A tokenizer is immutable, so any number of threads may use it.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocab_size() const = 0;
  // Throws EncodeError that names the character and its offset when the vocabulary cannot encode the text.
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  // Encodes a rendered conversation (data/chat/chat_template.h). The content of a special or another added token
  // becomes this token only where one span of `special_allowed` contains it; the spans are ascending and disjoint.
  // encode() is for the text of users and data, which must never become a token that controls the model.
  virtual std::vector<int32_t> encode_template(std::string_view text, std::span<const Span> special_allowed) const {
    static_cast<void>(special_allowed);
    return encode(text);
  }
  // Does the same for text that may be special tokens everywhere.
  std::vector<int32_t> encode_template(std::string_view text) const {
    const Span all{0, text.size()};
    return encode_template(text, std::span(&all, 1));
  }
  // Returns the text of the ids. decode(encode(text)) is the text, except that symbol tokenizers do not preserve white
  // space. Throws std::out_of_range that names the id when it is outside the vocabulary.
  virtual std::string decode(const std::vector<int32_t>& ids) const = 0;
  // Returns the text of those ids that are in the vocabulary. A model may have more ids than its tokenizer.
  std::string decode_known(std::vector<int32_t> ids) const {
    std::erase_if(ids, [&](int32_t id) { return id < 0 || id >= vocab_size(); });
    return decode(ids);
  }
  // Returns the text that `id` adds to a text that ends with the token `last`; nullopt: to an empty one. Some
  // tokenizers write a separator between two tokens. An id outside the vocabulary adds nothing.
  std::string decode_next(std::optional<int32_t> last, int32_t id) const {
    if (!last) return decode_known({id});
    return decode_known({*last, id}).substr(decode_known({*last}).size());
  }
  // Identifies vocabulary and rules, e.g. "byte", "char:<hash>", "symbol:chain7:<hash>". It is stored beside data and
  // checkpoints.
  virtual std::string id() const = 0;
  virtual int32_t bos() const = 0;  // -1: none
  virtual int32_t eos() const = 0;  // -1: none
  // Returns all tokens that end a response, eos() first. A model that chats may have one for the end of a turn and one
  // for the end of a text.
  virtual std::vector<int32_t> eos_ids() const {
    return eos() >= 0 ? std::vector<int32_t>{eos()} : std::vector<int32_t>{};
  }
  // Whether a token controls the model instead of being text.
  virtual bool is_special(int32_t token) const { return token >= 0 && (token == bos() || token == eos()); }
  // Whether the model learned with bos() before each text and eos() after it, which then exist. No function here adds
  // them.
  virtual bool adds_bos() const { return false; }
  virtual bool adds_eos() const { return false; }

  // Returns JSON text from which parse_tokenizer() makes the same tokenizer (same id()). It is stored in files that
  // must be readable without any other file.
  virtual std::string definition() const = 0;
  // Returns a number n of bytes such that encode(text + more) = encode(text[0, n)) followed by encode(text[n, ...) +
  // more) for every `more`. n is as large as can be determined, and 0 means that the text must be encoded whole. A text
  // larger than memory is encoded in such pieces.
  virtual size_t split_point(std::string_view text) const = 0;
};

}  // namespace terse::data
