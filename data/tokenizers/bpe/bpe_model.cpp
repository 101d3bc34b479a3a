// Merges short pieces in place, where moving a few ids is faster than any structure, and long pieces with a heap.
#include "data/tokenizers/bpe/bpe_model.h"

#include <algorithm>
#include <limits>
#include <queue>

namespace terse::data {

namespace {

constexpr size_t kShort = 64;  // ids; above, the quadratic time of moving them would count
constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();

}  // namespace

BpeModel::BpeModel(const BpeVocabulary& vocabulary)
    : merges_(vocabulary.merges), unknown_(vocabulary.unknown), fuse_unknown_(vocabulary.fuse_unknown) {
  byte_token_.fill(-1);
  size_t size = 0;
  for (const BpeVocabulary::Token& token : vocabulary.tokens) {
    if (token.in_text) size += token.bytes.size();
  }
  bytes_.reserve(size);  // the keys of whole_ point into it
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const BpeVocabulary::Token& token = vocabulary.tokens[id];
    if (token.in_text && token.bytes.size() == 1) {
      byte_token_[static_cast<uint8_t>(token.bytes[0])] = static_cast<int32_t>(id);
    }
  }
  std::vector<int32_t> ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const BpeVocabulary::Token& token = vocabulary.tokens[id];
    if (!token.in_text || token.bytes.empty()) continue;
    ids.clear();
    if (!vocabulary.ignore_merges) {
      if (append_bytes(token.bytes, ids) != std::string_view::npos) continue;
      merge(ids, 0);
      if (ids != std::vector<int32_t>{static_cast<int32_t>(id)}) continue;
    }
    const size_t begin = bytes_.size();
    bytes_ += token.bytes;
    whole_.emplace(std::string_view(bytes_).substr(begin), static_cast<int32_t>(id));
  }
}

size_t BpeModel::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (const auto found = whole_.find(piece); found != whole_.end()) {
    ids.push_back(found->second);
    return std::string_view::npos;
  }
  const size_t begin = ids.size();
  if (const size_t missing = append_bytes(piece, ids); missing != std::string_view::npos) return missing;
  merge(ids, begin);
  return std::string_view::npos;
}

size_t BpeModel::append_bytes(std::string_view piece, std::vector<int32_t>& ids) const {
  bool was_unknown = false;
  for (size_t i = 0; i < piece.size(); ++i) {
    const int32_t id = byte_token_[static_cast<uint8_t>(piece[i])];
    if (id < 0 && !unknown_) return i;
    if (id >= 0 || !was_unknown || !fuse_unknown_) ids.push_back(id >= 0 ? id : *unknown_);
    was_unknown = id < 0;
  }
  return std::string_view::npos;
}

void BpeModel::merge(std::vector<int32_t>& ids, size_t begin) const {
  if (ids.size() - begin <= kShort) {
    merge_short(ids, begin);
  } else {
    merge_long(ids, begin);
  }
}

void BpeModel::merge_short(std::vector<int32_t>& ids, size_t begin) const {
  int32_t* const id = ids.data() + begin;
  size_t n = ids.size() - begin;
  uint32_t rank[kShort];  // of the merge of id[i] and id[i + 1]
  int32_t merged[kShort];
  const auto look_up = [&](size_t i) {
    const MergeTable::Entry* entry = merges_.find(id[i], id[i + 1]);
    rank[i] = entry != nullptr ? entry->rank : kNoRank;
    merged[i] = entry != nullptr ? entry->merged : -1;
  };
  for (size_t i = 0; i + 1 < n; ++i) look_up(i);
  while (n > 1) {
    const size_t best = static_cast<size_t>(std::min_element(rank, rank + n - 1) - rank);
    if (rank[best] == kNoRank) break;
    id[best] = merged[best];
    std::copy(id + best + 2, id + n, id + best + 1);
    if (best + 2 < n) {
      std::copy(rank + best + 2, rank + n - 1, rank + best + 1);
      std::copy(merged + best + 2, merged + n - 1, merged + best + 1);
    }
    --n;
    if (best > 0) look_up(best - 1);
    if (best + 1 < n) look_up(best);
  }
  ids.resize(begin + n);
}

void BpeModel::merge_long(std::vector<int32_t>& ids, size_t begin) const {
  struct Candidate {
    uint32_t rank;
    uint32_t left;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };
  struct Links {
    uint32_t previous;
    uint32_t next;
  };
  int32_t* const id = ids.data() + begin;  // -1: merged into an id before it
  const auto n = static_cast<uint32_t>(ids.size() - begin);
  std::vector<Links> links(n);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto add = [&](uint32_t left, uint32_t right) {
    if (const MergeTable::Entry* entry = merges_.find(id[left], id[right])) queue.push({entry->rank, left});
  };
  for (uint32_t i = 0; i < n; ++i) {
    links[i] = {i - 1, i + 1};
    if (i > 0) add(i - 1, i);
  }
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const uint32_t right = links[best.left].next;
    if (id[best.left] < 0 || right >= n) continue;
    // The pair may have changed since it was queued.
    const MergeTable::Entry* entry = merges_.find(id[best.left], id[right]);
    if (entry == nullptr || entry->rank != best.rank) continue;
    id[best.left] = entry->merged;
    id[right] = -1;
    const uint32_t next = links[right].next;
    links[best.left].next = next;
    if (next < n) links[next].previous = best.left;
    if (best.left > 0) add(links[best.left].previous, best.left);
    if (next < n) add(best.left, next);
  }
  ids.erase(std::remove(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.end(), -1), ids.end());
}

}  // namespace terse::data
