// Maps each byte to the id with its value. The ids from 256 on are special tokens, which decode to nothing.
#include "data/tokenizers/byte_tokenizer.h"

#include <fmt/format.h>

namespace terse::data {

std::vector<int32_t> ByteTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids(text.size());
  for (size_t i = 0; i < text.size(); ++i) ids[i] = static_cast<uint8_t>(text[i]);
  return ids;
}

std::string ByteTokenizer::decode(const std::vector<int32_t>& ids) const {
  std::string text;
  text.reserve(ids.size());
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size()) {
      throw std::out_of_range(fmt::format("token id {} is outside the vocabulary of {} (byte)", id, vocab_size()));
    }
    if (id < kBos) text += static_cast<char>(id);
  }
  return text;
}

std::string ByteTokenizer::definition() const {
  return R"({"format":"terse-tokenizer","kind":"byte","version":1})";
}

}  // namespace terse::data
