// Sums (maxima, minima) of the ranks' values, in order of rank.
#pragma once

#include <torch/types.h>

#include <vector>

#include "trainer/dist/collectives.h"

namespace terse::trainer {

// out[i] = pieces[0][i] + pieces[1][i] + ..., from left to right. Elements of `dtype`, `count` of each; `out` may be
// one of the pieces. bfloat16 is summed in fp32 and rounded once. A NaN in any piece makes a NaN.
void combine(torch::ScalarType dtype, Reduce reduce, const std::vector<const void*>& pieces, void* out, int64_t count);

}  // namespace terse::trainer
