// Learns the merges of BPE from words and how often they occur.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace terse::data {

// Joins the most frequent pair of neighbours again and again. The algorithm is that of BpeTrainer in the `tokenizers`
// library (models/bpe/trainer.rs), with its order of ties: of equally frequent pairs, the one with the lower ids.
class MergeLearner {
 public:
  using Pair = std::pair<int32_t, int32_t>;
  struct Word {
    std::vector<int32_t> tokens;
    int64_t count = 0;
  };

  // `tokens` are the texts of the first ids. They must be different.
  MergeLearner(std::vector<std::string> tokens, std::vector<Word> words);

  // Learns merges until there are `size` tokens, or no pair is left.
  void run(size_t size);

  const std::vector<std::string>& tokens() const { return tokens_; }
  const std::vector<Pair>& merges() const { return merges_; }  // in the order in which they were learned

 private:
  // A pair that waits, and the words that got it since it was last queued.
  struct Candidate {
    int64_t count;
    Pair pair;
    std::vector<size_t> words;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };
  struct HashPair {
    size_t operator()(const Pair& pair) const {
      return std::hash<uint64_t>()(static_cast<uint64_t>(static_cast<uint32_t>(pair.first)) << 32 |
                                   static_cast<uint32_t>(pair.second));
    }
  };
  using Places = std::unordered_map<Pair, std::vector<size_t>, HashPair>;

  int32_t token_of(const Pair& pair);
  void join(size_t word, const Pair& pair, int32_t joined, Places& places);
  void change(const Pair& pair, int64_t by, size_t word, Places& places);
  void queue(Places& places);

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, int64_t, HashPair> counts_;
  std::vector<Candidate> queue_;  // a heap
  std::vector<Pair> merges_;
};

}  // namespace terse::data
