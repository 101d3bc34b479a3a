// Walks over the tree of sequences. The tree is not stored: a node is its range, and kernels::tree_half() splits it.
#include "trainer/gradient_plan.h"

#include <bit>

#include "trainer/kernels/kernels.h"

namespace terse::trainer {

namespace {

SequenceRange left_of(SequenceRange node) {
  return {node.begin, node.begin + kernels::tree_half(node.count())};
}
SequenceRange right_of(SequenceRange node) {
  return {node.begin + kernels::tree_half(node.count()), node.end};
}

using Fits = std::function<bool(SequenceRange)>;

void collect(SequenceRange node, SequenceRange range, const Fits& fits, std::vector<SequenceRange>& found) {
  if (node.count() == 0 || node.end <= range.begin || range.end <= node.begin) return;
  const bool inside = range.begin <= node.begin && node.end <= range.end;
  if (inside && (node.count() == 1 || fits(node))) {
    found.push_back(node);
    return;
  }
  collect(left_of(node), range, fits, found);
  collect(right_of(node), range, fits, found);
}

}  // namespace

SequenceRange share_of(int64_t sequences, int64_t rank, int64_t ranks) {
  // Bounds lie between nodes of one depth of the tree. That depth has as many nodes as there are ranks when this number
  // is a power of two, else at least four nodes per rank.
  const int depth =
      std::bit_width(static_cast<uint64_t>(ranks - 1)) + (std::has_single_bit(static_cast<uint64_t>(ranks)) ? 0 : 2);
  const auto bound = [&](int64_t r) {
    const int64_t cell = ((r << depth) + ranks / 2) / ranks;
    if (cell == int64_t{1} << depth) return sequences;
    SequenceRange node{0, sequences};
    for (int bit = depth - 1; bit >= 0; --bit) node = (cell >> bit & 1) != 0 ? right_of(node) : left_of(node);
    return node.begin;
  };
  return {bound(rank), bound(rank + 1)};
}

std::vector<SequenceRange> tree_nodes(int64_t sequences, SequenceRange range, const Fits& fits) {
  std::vector<SequenceRange> found;
  if (range.count() > 0) collect({0, sequences}, range, fits, found);
  return found;
}

MicroBatching::MicroBatching(const std::vector<Size>& sequences, PassLimit limit) : sums_{{0, 0}}, limit_(limit) {
  for (const Size& size : sequences)
    sums_.push_back({sums_.back().items + size.items, sums_.back().tokens + size.tokens});
}

bool MicroBatching::fits(SequenceRange range) const {
  if (range.count() <= 1) return true;
  const Size &before = sums_[static_cast<size_t>(range.begin)], &after = sums_[static_cast<size_t>(range.end)];
  return (limit_.micro_batch == 0 || after.items - before.items <= limit_.micro_batch) &&
         (limit_.micro_tokens == 0 || after.tokens - before.tokens <= limit_.micro_tokens);
}

void TreeSum::add(SequenceRange node, torch::Tensor sum) {
  const SequenceRange root{0, sequences_};
  while (node != root) {
    SequenceRange parent = root;
    while (left_of(parent) != node && right_of(parent) != node)
      parent = node.end <= left_of(parent).end ? left_of(parent) : right_of(parent);
    const SequenceRange other = left_of(parent) == node ? right_of(parent) : left_of(parent);
    const auto found = waiting_.find(other);
    if (other.count() > 0 && found == waiting_.end()) break;
    if (other.count() > 0) {
      // Adds to the sum that waited, because it may already have its own memory.
      if (sum.defined()) sum = found->second.add_(sum);
      waiting_.erase(found);
    }
    node = parent;
  }
  waiting_[node] = std::move(sum);
}

void TreeSum::leave_buffers() {
  for (auto& [range, sum] : waiting_)
    if (sum.storage().nbytes() > sum.nbytes()) sum = sum.clone();
}

}  // namespace terse::trainer
