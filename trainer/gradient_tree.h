// The order in which the gradient of a batch is summed over its sequences: the binary tree of kernels::Segments, of
// which a backward pass computes one node. A batch in micro-batches gives the same bits as a batch at once.
#pragma once

#include <functional>

#include "trainer/model/params.h"

namespace terse::trainer {

// Sequences [begin, end) of a batch.
struct SequenceRange {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t count() const { return end - begin; }
};

// Adds the gradient of the sequences of `range` to the model's: `backward` is called for disjoint parts of at most
// `limit` sequences, in order, and adds the gradient of each. In fp32 on the CPU the parts are summed as a tree, which
// takes one more copy of the gradient for every doubling of the number of parts.
void sum_gradients(FlatParams& params, SequenceRange range, int64_t limit,
                   const std::function<void(SequenceRange)>& backward);

}  // namespace terse::trainer
