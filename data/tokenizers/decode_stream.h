// Decodes the ids of a response one by one, for text that is shown while the model writes it.
#pragma once

#include <optional>
#include <string>

#include "data/tokenizers/tokenizer.h"

namespace terse::data {

// A token may end in the middle of a UTF-8 character. A DecodeStream keeps such a beginning back until the character is
// complete, or other bytes show that it never will be. The parts that it returns, joined, are decode_known() of all
// ids. An object is not thread-safe. The tokenizer must outlive it.
class DecodeStream {
 public:
  explicit DecodeStream(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // Adds an id and returns the text that is now complete; it may be empty.
  std::string add(int32_t id);
  // Returns what is left, which ends in the middle of a character. Then a new text begins.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  std::optional<int32_t> last_;  // some tokenizers write a separator between two tokens
  std::string pending_;          // at most 3 bytes
};

}  // namespace terse::data
