// Decodes each id after the id before it, so that the cost of a token does not grow with the response.
#include "data/tokenizers/decode_stream.h"

#include <utility>

#include "base/utf8.h"

namespace terse::data {

std::string DecodeStream::add(int32_t id) {
  pending_ += tokenizer_.decode_next(last_, id);
  last_ = id;
  const size_t complete = whole_characters(pending_);
  std::string text = pending_.substr(0, complete);
  pending_.erase(0, complete);
  return text;
}

std::string DecodeStream::finish() {
  last_.reset();
  return std::exchange(pending_, {});
}

}  // namespace terse::data
