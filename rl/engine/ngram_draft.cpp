// Looks for the longest run of latest tokens first, and in each text for its last occurrence.
#include "rl/engine/ngram_draft.h"

#include <algorithm>

namespace terse::rl {

namespace {

constexpr int64_t kLongest = 4, kShortest = 2;  // tokens that must occur again

}  // namespace

std::vector<int32_t> ngram_draft(const std::vector<const std::vector<int32_t>*>& texts, int64_t most) {
  const std::vector<int32_t>& tokens = *texts.front();
  if (most <= 0) return {};
  for (int64_t n = std::min(kLongest, std::ssize(tokens)); n >= kShortest; --n) {
    const auto latest = tokens.end() - n;
    for (const std::vector<int32_t>* text : texts) {
      // In the sequence itself, the run at its end is not an occurrence: nothing follows it.
      const auto end = text->end() - (text->empty() ? 0 : 1);
      const auto found = std::find_end(text->begin(), end, latest, tokens.end());
      if (found == end) continue;
      const auto next = found + n;
      return {next, next + std::min(most, text->end() - next)};
    }
  }
  return {};
}

}  // namespace terse::rl
