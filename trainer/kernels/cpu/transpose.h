// Rows transposed in blocks of 16: the layout of keys in attention, and of packed weights. One vector holds the same
// element of 16 rows.
#pragma once

#include "trainer/kernels/cpu/bf16.h"
#include "trainer/kernels/cpu/parallel.h"

namespace terse::trainer::kernels::TERSE_ISA {

// Returns the offset of row `row`. Its elements are kLanes apart.
TERSE_INLINE int64_t block_at(int64_t row, int64_t width) {
  return row / kLanes * kLanes * width + row % kLanes;
}

// Transposes rows of `width` elements, row_stride apart, into blocks [ceil(rows / 16)][width][16]; the lanes past the
// end are zero.
void transpose_blocks(const float* from, int64_t row_stride, int64_t rows, int64_t width, float* blocks);
void transpose_blocks(const Pair* from, int64_t row_stride, int64_t rows, int64_t width, Pair* blocks);

}  // namespace terse::trainer::kernels::TERSE_ISA
