// Keeps only the end of the text, so the cost of a token does not grow with the response.
#include "rl/engine/stop_strings.h"

#include <algorithm>

namespace terse::rl {

std::string StopStrings::add(const data::Tokenizer& tokenizer, const std::vector<std::string>& stop,
                             const std::vector<int32_t>& tokens, int32_t token) {
  text_ += tokenizer.decode_next(tokens.empty() ? std::nullopt : std::optional(tokens.back()), token);
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
