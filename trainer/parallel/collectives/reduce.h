// Reduces the values of several ranks on the CPU, always in order of rank. So a sum does not depend on the order in
// which messages arrive.
#pragma once

#include <torch/types.h>

#include <vector>

#include "trainer/parallel/collectives/collectives.h"

namespace terse::trainer {

// out[i] = pieces[0][i] + pieces[1][i] + ..., from left to right; the maximum and the minimum alike. Each piece has
// `count` elements of `dtype`, and `out` may be one of the pieces. bfloat16 is summed in fp32 and rounded once. A NaN
// in any piece makes a NaN.
void reduce_pieces(torch::ScalarType dtype, Reduce reduce, const std::vector<const void*>& pieces, void* out,
                   int64_t count);

}  // namespace terse::trainer
