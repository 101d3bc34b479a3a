// Counts are kept exactly, and the queue lazily: a candidate whose count has changed goes back with the new count.
#include "data/tokenizers/bpe/merge_learner.h"

#include <algorithm>

namespace terse::data {

MergeLearner::MergeLearner(std::vector<std::string> tokens, std::vector<Word> words)
    : tokens_(std::move(tokens)), words_(std::move(words)) {
  for (size_t id = 0; id < tokens_.size(); ++id) ids_.emplace(tokens_[id], static_cast<int32_t>(id));
  Places places;
  for (size_t i = 0; i < words_.size(); ++i) {
    const std::vector<int32_t>& word = words_[i].tokens;
    for (size_t k = 0; k + 1 < word.size(); ++k) change({word[k], word[k + 1]}, words_[i].count, i, places);
  }
  queue(places);
}

void MergeLearner::run(size_t size) {
  while (tokens_.size() < size && !queue_.empty()) {
    std::pop_heap(queue_.begin(), queue_.end());
    Candidate best = std::move(queue_.back());
    queue_.pop_back();
    if (const int64_t now = counts_[best.pair]; best.count != now) {
      best.count = now;
      queue_.push_back(std::move(best));
      std::push_heap(queue_.begin(), queue_.end());
      continue;
    }
    if (best.count < 1) break;
    const int32_t joined = token_of(best.pair);
    merges_.push_back(best.pair);
    Places places;
    for (const size_t word : best.words) join(word, best.pair, joined, places);
    queue(places);
  }
}

int32_t MergeLearner::token_of(const Pair& pair) {
  const std::string text = tokens_[static_cast<size_t>(pair.first)] + tokens_[static_cast<size_t>(pair.second)];
  const auto [entry, is_new] = ids_.emplace(text, static_cast<int32_t>(tokens_.size()));
  if (is_new) tokens_.push_back(text);
  return entry->second;
}

void MergeLearner::join(size_t word, const Pair& pair, int32_t joined, Places& places) {
  std::vector<int32_t>& tokens = words_[word].tokens;
  const int64_t count = words_[word].count;
  size_t kept = 0;  // tokens before this are done
  for (size_t i = 0; i < tokens.size(); ++i, ++kept) {
    if (i + 1 >= tokens.size() || tokens[i] != pair.first || tokens[i + 1] != pair.second) {
      tokens[kept] = tokens[i];
      continue;
    }
    if (kept > 0) {
      change({tokens[kept - 1], pair.first}, -count, word, places);
      change({tokens[kept - 1], joined}, count, word, places);
    }
    ++i;
    tokens[kept] = joined;
    if (i + 1 < tokens.size()) {
      change({pair.second, tokens[i + 1]}, -count, word, places);
      change({joined, tokens[i + 1]}, count, word, places);
    }
  }
  tokens.resize(kept);
}

void MergeLearner::change(const Pair& pair, int64_t by, size_t word, Places& places) {
  counts_[pair] += by;
  if (by < 0) return;
  std::vector<size_t>& words = places[pair];
  if (words.empty() || words.back() != word) words.push_back(word);
}

void MergeLearner::queue(Places& places) {
  for (auto& [pair, words] : places) {
    const int64_t count = counts_[pair];
    if (count < 1) continue;
    queue_.push_back({count, pair, std::move(words)});
    std::push_heap(queue_.begin(), queue_.end());
  }
}

}  // namespace terse::data
