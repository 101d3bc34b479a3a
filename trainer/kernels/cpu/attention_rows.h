// The softmax of rows of scores, which packed attention and decoding share, so that they give the same bits.
#pragma once

#include "trainer/kernels/cpu/parallel.h"
#include "trainer/kernels/kernels.h"

namespace terse::trainer::kernels::TERSE_ISA {

static_assert(kKeyBlock == kLanes);

struct SoftmaxRow {
  float max;  // of the scaled scores
  float sum;  // of exp(scaled score - max)
};

// Works in place on at most kTileRows rows. Row r has keys + r * more keys and becomes exp(scale * score - max), not
// divided by its sum. Lanes up to a multiple of 16 become zero, whatever they held.
void softmax_rows(float* scores, int64_t stride, int64_t rows, int64_t keys, int64_t more, float scale,
                  SoftmaxRow* results);

}  // namespace terse::trainer::kernels::TERSE_ISA
