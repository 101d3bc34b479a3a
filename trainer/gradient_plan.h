// Who computes which part of a batch's gradient, and in which order the parts are added.
//
// The gradient is a sum over sequences, taken as the binary tree of kernels::Sequences. Each rank's share of a batch is
// a few nodes of that tree (one, where the number of ranks is a power of two), so what it computes fits into the same
// tree for any number of ranks, and the sum has the same bits.
#pragma once

#include <torch/types.h>

#include <map>
#include <vector>

namespace terse::trainer {

// Sequences [begin, end) of a batch.
struct SequenceRange {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t count() const { return end - begin; }
  auto operator<=>(const SequenceRange&) const = default;
};

// The share of a rank: nearly even, in order of rank, bounded by nodes of the tree; may be empty.
SequenceRange share_of(int64_t sequences, int64_t rank, int64_t ranks);

// The fewest nodes of the tree over `sequences` that make up `range`, in order, each of at most `limit` sequences.
std::vector<SequenceRange> tree_nodes(int64_t sequences, SequenceRange range, int64_t limit);

// Adds up nodes as they come, in any order.
class TreeSum {
 public:
  explicit TreeSum(int64_t sequences) : sequences_(sequences) {}
  // `sum` is the node's and may be overwritten; undefined where only the ranges are asked for.
  void add(SequenceRange node, torch::Tensor sum);
  // Gives every node that waits memory of its own, where it is a view of more.
  void leave_buffers();
  TreeSum empty_copy() const { return TreeSum(sequences_); }
  // Nodes whose other half has not come yet; in the end the root alone.
  const std::map<SequenceRange, torch::Tensor>& waiting() const { return waiting_; }

 private:
  int64_t sequences_;
  std::map<SequenceRange, torch::Tensor> waiting_;
};

}  // namespace terse::trainer
