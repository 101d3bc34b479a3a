// Computes the sum over sequences in the order that Sequences defines.
#pragma once

#include "trainer/kernels/cpu/parallel.h"

namespace terse::trainer::kernels::TERSE_ISA {

TERSE_INLINE void add_into(float* sum, const float* more, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = min_of(kLanes, count - i);
    store_some(sum + i, add(load_some(sum + i, n), load_some(more + i, n)), n);
  }
}

// Returns how many sums tree_sum() may hold at once while they wait for their siblings.
inline int64_t tree_depth(int64_t sequences) {
  return 64 - __builtin_clzll(static_cast<uint64_t>(sequences));
}

// Writes the tree over the sequences [begin, end), which hold at least one row, to out[count]. leaf(sequence, to)
// writes the sum of a sequence that has rows. `spare` has room for tree_depth(end - begin) times `count` floats.
template <class Leaf>
void tree_sum(const Sequences& rows, int64_t begin, int64_t end, float* out, float* spare, int64_t count,
              const Leaf& leaf) {
  while (end - begin > 1) {
    const int64_t middle = begin + tree_half(end - begin);
    if (rows.starts[middle] == rows.starts[end]) {
      end = middle;
    } else if (rows.starts[begin] == rows.starts[middle]) {
      begin = middle;
    } else {
      tree_sum(rows, begin, middle, out, spare, count, leaf);
      tree_sum(rows, middle, end, spare, spare + count, count, leaf);
      add_into(out, spare, count);
      return;
    }
  }
  leaf(begin, out);
}

}  // namespace terse::trainer::kernels::TERSE_ISA
