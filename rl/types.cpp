// The turns of a rollout follow from which of its tokens were sampled.
#include "rl/types.h"

#include <algorithm>

namespace terse::rl {

int64_t Rollout::length() const {
  if (sampled.empty()) return static_cast<int64_t>(tokens.size());
  return std::count_if(sampled.begin(), sampled.end(), [](uint8_t s) { return s != 0; });
}

std::vector<Turn> Rollout::turns() const {
  std::vector<Turn> turns;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int64_t at = static_cast<int64_t>(i);
    if (turns.empty() || turns.back().sampled != is_sampled(i)) turns.push_back({at, at, is_sampled(i)});
    turns.back().end = at + 1;
  }
  return turns;
}

}  // namespace terse::rl
