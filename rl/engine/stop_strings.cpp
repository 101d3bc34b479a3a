// Keeps only the end of the text, so the cost of a token does not grow with the response.
#include "rl/engine/stop_strings.h"

#include <algorithm>

namespace terse::rl {

namespace {

// The text that `token` adds. Some tokenizers write a separator between two tokens, so the token before it counts.
std::string piece(const data::Tokenizer& tokenizer, const std::vector<int32_t>& tokens, int32_t token) {
  if (tokens.empty()) return tokenizer.decode({token});
  return tokenizer.decode({tokens.back(), token}).substr(tokenizer.decode({tokens.back()}).size());
}

}  // namespace

std::string StopStrings::add(const data::Tokenizer& tokenizer, const std::vector<std::string>& stop,
                             const std::vector<int32_t>& tokens, int32_t token) {
  text_ += piece(tokenizer, tokens, token);
  size_t first = std::string::npos, longest = 0;
  std::string found;
  for (const std::string& each : stop) {
    longest = std::max(longest, each.size());
    const size_t at = text_.find(each);
    if (at == std::string::npos || at >= first) continue;
    first = at;
    found = each;
  }
  if (text_.size() >= longest) text_.erase(0, text_.size() - longest + 1);
  return found;
}

}  // namespace terse::rl
