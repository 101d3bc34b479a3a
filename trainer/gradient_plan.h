// Decides which rank computes which part of a batch's gradient, and in which order the parts are added.
//
// The gradient is a sum over sequences in the order of the binary tree of kernels::Sequences. Each rank's share of a
// batch is a few nodes of that tree (one node when the number of ranks is a power of two). So the sums of all ranks fit
// into the same tree, and the total has the same bits for any number of ranks.
#pragma once

#include <torch/types.h>

#include <functional>
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

// Returns the share of a rank. Shares are nearly equal, follow the order of ranks, and begin and end at nodes of the
// tree. A share may be empty.
SequenceRange share_of(int64_t sequences, int64_t rank, int64_t ranks);

// Returns the fewest nodes of the tree over `sequences` that make up `range` and for which `fits` holds, in order. A
// node of one sequence is always taken.
std::vector<SequenceRange> tree_nodes(int64_t sequences, SequenceRange range,
                                      const std::function<bool(SequenceRange)>& fits);

// The most that one pass takes: options micro_batch and micro_tokens of a stage. 0: no limit.
struct PassLimit {
  int64_t micro_batch = 0;   // sequences, or rollouts where a sequence has several
  int64_t micro_tokens = 0;  // tokens
};

// Decides which sequences of a batch may share a pass.
class MicroBatching {
 public:
  struct Size {
    int64_t items = 1;  // what PassLimit::micro_batch counts
    int64_t tokens = 0;
  };
  MicroBatching(const std::vector<Size>& sequences, PassLimit limit);

  int64_t sequences() const { return static_cast<int64_t>(sums_.size()) - 1; }
  // A single sequence always fits.
  bool fits(SequenceRange range) const;

 private:
  std::vector<Size> sums_;  // of the sequences before each place
  PassLimit limit_;
};

// Adds the sums of nodes, which may arrive in any order. Two siblings are added as soon as both are present.
class TreeSum {
 public:
  explicit TreeSum(int64_t sequences) : sequences_(sequences) {}
  // `sum` is the sum of the node's sequences and may be overwritten. It is undefined when the caller needs only the
  // ranges.
  void add(SequenceRange node, torch::Tensor sum);
  // Copies each waiting sum that is a view of a larger buffer, so that the buffer can be freed.
  void leave_buffers();
  TreeSum empty_copy() const { return TreeSum(sequences_); }
  // Nodes whose sibling has not arrived yet. In the end this is only the root.
  const std::map<SequenceRange, torch::Tensor>& waiting() const { return waiting_; }

 private:
  int64_t sequences_;
  std::map<SequenceRange, torch::Tensor> waiting_;
};

}  // namespace terse::trainer
