// Finds stop strings in a response that arrives token by token. A stop string may span several tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizers/tokenizer.h"

namespace terse::rl {

class StopStrings {
 public:
  // Adds the text of `token`, which follows `tokens` (the response so far). Returns the stop string of `stop` that the
  // text now contains; empty: none. When one token completes several, the one that begins first counts, and of those
  // that begin together the one given first.
  std::string add(const data::Tokenizer& tokenizer, const std::vector<std::string>& stop,
                  const std::vector<int32_t>& tokens, int32_t token);
  // Forgets the text so far: a stop string must lie in the text that follows.
  void reset() { text_.clear(); }

 private:
  std::string text_;  // the end of the text, as much of it as a stop string can still begin in
};

}  // namespace terse::rl
