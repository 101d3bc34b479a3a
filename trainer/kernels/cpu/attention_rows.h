// What packed attention and decoding share, so that they give the same bits: keys transposed in blocks of 16, and the
// softmax of a row of scores.
#pragma once

#include "trainer/kernels/cpu/parallel.h"
#include "trainer/kernels/kernels.h"

namespace terse::trainer::kernels::TERSE_ISA {

static_assert(kKeyBlock == kLanes);

struct SoftmaxRow {
  float max;  // of the scaled scores
  float sum;  // of exp(score - max)
};

// In place: scores[0, keys) become exp(scale * score - max), not divided by their sum. Lanes up to a multiple of 16
// become zero, whatever they held.
SoftmaxRow softmax_row(float* scores, int64_t keys, float scale);

// Where token `token` of a transposed key array starts: its elements are kLanes apart.
TERSE_INLINE int64_t key_at(int64_t token, int64_t head_width) {
  return token / kLanes * kLanes * head_width + token % kLanes;
}

// Transposes `tokens` rows of head_width, row_stride apart, into blocks [ceil(tokens / 16)][head_width][16]; the lanes
// past the end are zero.
void transpose_blocks(const float* rows, int64_t row_stride, int64_t tokens, int64_t head_width, float* blocks);

}  // namespace terse::trainer::kernels::TERSE_ISA
