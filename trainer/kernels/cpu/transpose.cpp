// Transposes 8 x 8 elements at a time, in registers.
#include "trainer/kernels/cpu/transpose.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

__m256 load_bits(const void* p) {
  return _mm256_castsi256_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
void store_bits(void* p, __m256 x) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm256_castps_si256(x));
}

// Transposes 8 x 8 elements of 32 bits: row i of `from` becomes column i of `to`. Rows from `rows` on count as zeros.
template <class T>
void transpose_8x8(const T* from, int64_t from_row, int64_t rows, T* to, int64_t to_row) {
  static_assert(sizeof(T) == sizeof(float));
  __m256 r[8], t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) r[i] = i < rows ? load_bits(from + i * from_row) : _mm256_setzero_ps();
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {  // pairs of rows, interleaved
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {  // groups of four rows
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    store_bits(to + i * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    store_bits(to + (i + 4) * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

template <class T>
void blocks_of(const T* from, int64_t row_stride, int64_t rows, int64_t width, T* blocks) {
  const int64_t whole = width / 8 * 8;
  for (int64_t r = 0; r < round_up(rows, kLanes); r += 8) {
    T* block = blocks + block_at(r, width);
    for (int64_t c = 0; c < whole; c += 8)
      transpose_8x8(from + r * row_stride + c, row_stride, rows - r, block + c * kLanes, kLanes);
    for (int64_t c = whole; c < width; ++c)
      for (int64_t i = 0; i < 8; ++i) block[c * kLanes + i] = r + i < rows ? from[(r + i) * row_stride + c] : T{};
  }
}

}  // namespace

void transpose_blocks(const float* from, int64_t row_stride, int64_t rows, int64_t width, float* blocks) {
  blocks_of(from, row_stride, rows, width, blocks);
}
void transpose_blocks(const Pair* from, int64_t row_stride, int64_t rows, int64_t width, Pair* blocks) {
  blocks_of(from, row_stride, rows, width, blocks);
}

}  // namespace terse::trainer::kernels::TERSE_ISA
