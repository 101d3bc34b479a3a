// Maps pairs of token ids to the token that they merge into, in one flat hash table.
#pragma once

#include <cstdint>
#include <vector>

namespace terse::data {

struct Merge {
  int32_t left = -1;
  int32_t right = -1;
  int32_t merged = -1;
};

class MergeTable {
 public:
  struct Entry {
    uint64_t pair = kFree;
    uint32_t rank = 0;  // of the merge; a lower one comes first
    int32_t merged = -1;
  };

  MergeTable() : MergeTable(std::vector<Merge>{}) {}
  // The rank of a merge is its index. If a pair occurs twice, its last merge counts, as in the `tokenizers` library.
  explicit MergeTable(const std::vector<Merge>& merges) {
    size_t slots = 16;
    while (slots < merges.size() * 2) slots *= 2;
    entries_.resize(slots);
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      Entry& entry = entries_[slot(key(merges[rank].left, merges[rank].right))];
      entry = {key(merges[rank].left, merges[rank].right), static_cast<uint32_t>(rank), merges[rank].merged};
    }
  }

  // Returns the merge of a pair, or null.
  const Entry* find(int32_t left, int32_t right) const {
    const Entry& entry = entries_[slot(key(left, right))];
    return entry.pair == kFree ? nullptr : &entry;
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};

  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  // Returns the slot that holds the pair, or the free one where it belongs. At least half of the slots are free.
  size_t slot(uint64_t pair) const {
    const size_t mask = entries_.size() - 1;
    size_t at = (pair * 0x9E3779B97F4A7C15u >> 20) & mask;  // the multiplier of Fibonacci hashing (Knuth 6.4)
    while (entries_[at].pair != kFree && entries_[at].pair != pair) at = (at + 1) & mask;
    return at;
  }

  std::vector<Entry> entries_;  // a power of two
};

}  // namespace terse::data
