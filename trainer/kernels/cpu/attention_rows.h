// Code that packed attention and decoding share, so that they give the same bits: keys transposed in blocks of 16, and
// the softmax of rows of scores.
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

// Returns the offset of token `token` in a transposed key array. The token's elements are kLanes apart.
TERSE_INLINE int64_t key_at(int64_t token, int64_t head_dim) {
  return token / kLanes * kLanes * head_dim + token % kLanes;
}

// Transposes `tokens` rows of head_dim, row_stride apart, into blocks [ceil(tokens / 16)][head_dim][16]; the lanes
// past the end are zero.
void transpose_blocks(const float* rows, int64_t row_stride, int64_t tokens, int64_t head_dim, float* blocks);

}  // namespace terse::trainer::kernels::TERSE_ISA
