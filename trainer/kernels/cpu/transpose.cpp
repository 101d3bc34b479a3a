// Transposes 8 x 8 elements at a time, in registers.
#include "trainer/kernels/cpu/transpose.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

// Transposes 8 x 8 floats: row i of `from` becomes column i of `to`. Rows from `rows` on count as zeros.
void transpose_8x8(const float* from, int64_t from_row, int64_t rows, float* to, int64_t to_row) {
  __m256 r[8], t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) r[i] = i < rows ? _mm256_loadu_ps(from + i * from_row) : _mm256_setzero_ps();
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
    _mm256_storeu_ps(to + i * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

// The same of bf16 numbers.
void transpose_8x8(const Bf16* from, int64_t from_row, int64_t rows, Bf16* to, int64_t to_row) {
  __m128i r[8], t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
    r[i] = i < rows ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * from_row)) : _mm_setzero_si128();
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // pairs of rows, interleaved
    t[i] = _mm_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
    t[i + 4] = _mm_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {  // groups of four rows
    r[i] = _mm_unpacklo_epi32(t[i], t[i + 1]);
    r[i + 1] = _mm_unpackhi_epi32(t[i], t[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const int first = i / 2 * 4 + i % 2;
    t[2 * i] = _mm_unpacklo_epi64(r[first], r[first + 2]);
    t[2 * i + 1] = _mm_unpackhi_epi64(r[first], r[first + 2]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * to_row), t[i]);
}

template <class T>
void blocks_of(const T* from, int64_t row_stride, int64_t rows, int64_t width, T* blocks) {
  const int64_t whole = width / 8 * 8;
  for (int64_t r = 0; r < round_up(rows, kLanes); r += 8) {
    T* block = blocks + block_at(r, width);
    for (int64_t c = 0; c < whole; c += 8)
      transpose_8x8(from + r * row_stride + c, row_stride, rows - r, block + c * kLanes, kLanes);
    for (int64_t c = whole; c < width; ++c)
      for (int64_t i = 0; i < 8; ++i) block[c * kLanes + i] = r + i < rows ? from[(r + i) * row_stride + c] : T(0);
  }
}

}  // namespace

void transpose_blocks(const float* from, int64_t row_stride, int64_t rows, int64_t width, float* blocks) {
  blocks_of(from, row_stride, rows, width, blocks);
}
void transpose_blocks(const Bf16* from, int64_t row_stride, int64_t rows, int64_t width, Bf16* blocks) {
  blocks_of(from, row_stride, rows, width, blocks);
}

}  // namespace terse::trainer::kernels::TERSE_ISA
