// Vectors of bf16 numbers. Such a number is the upper half of a float, so widening is exact, and so is the product of
// two of them in fp32.
#pragma once

#include <cstring>

#include "trainer/kernels/cpu/vec.h"
#include "trainer/kernels/kernels.h"

namespace terse::trainer::kernels::TERSE_ISA {

// Two numbers that follow one another along the summed dimension of a product. A chain over pairs adds the product of
// the odd numbers first, because the dot product of AVX-512 does so.
struct Pair {
  Bf16 even, odd;
};

#ifdef __AVX512F__

// Sixteen pairs. The lower half of a lane is the even number.
struct P16 {
  __m512i v;
};

TERSE_INLINE P16 splat(Pair x) {
  int32_t both;
  std::memcpy(&both, &x, sizeof both);
  return {_mm512_set1_epi32(both)};
}
TERSE_INLINE P16 load(const Pair* p) {
  return {_mm512_loadu_si512(p)};
}
// The first n lanes, 0 <= n <= 16; the other lanes are zero, and their memory is not touched.
TERSE_INLINE P16 load_first(const Pair* p, int64_t n) {
  return {_mm512_maskz_loadu_epi32(first_lanes(n), p)};
}
TERSE_INLINE void store_first(Pair* p, P16 x, int64_t n) {
  _mm512_mask_storeu_epi32(p, first_lanes(n), x.v);
}
// Pairs each of the first n numbers at `even` with its neighbour at `odd`.
TERSE_INLINE P16 join(const Bf16* even, const Bf16* odd, int64_t n) {
  const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(n), even));
  const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(n), odd));
  return {_mm512_or_si512(low, _mm512_slli_epi32(high, 16))};
}

TERSE_INLINE F16 even(P16 x) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(x.v, 16))};
}
TERSE_INLINE F16 odd(P16 x) {
  return {_mm512_castsi512_ps(_mm512_and_si512(x.v, _mm512_set1_epi32(-0x10000)))};
}
TERSE_INLINE F16 widen(__m256i halves) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
TERSE_INLINE F16 load(const Bf16* p) {
  return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
// The first n lanes, 0 <= n <= 16, as for pairs.
TERSE_INLINE F16 load_first(const Bf16* p, int64_t n) {
  return widen(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}
// The numbers of eight pairs, the odd one of each pair before the even one.
TERSE_INLINE F16 odd_even(const Pair* p) {
  const __m256i swapped = _mm256_rol_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), 16);
  return widen(swapped);
}

// Stores the first n lanes, rounded to the nearest number, ties to even. A NaN stays one.
TERSE_INLINE void store_first(Bf16* p, F16 x, int64_t n) {
  const __m512i bits = _mm512_castps_si512(x.v);
  const __m512i last = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(last, _mm512_set1_epi32(0x7fff)));
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __mmask16 nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
  const __m512i halves = _mm512_srli_epi32(_mm512_mask_blend_epi32(nan, rounded, quiet), 16);
  _mm256_mask_storeu_epi16(p, first_lanes(n), _mm512_cvtepi32_epi16(halves));
}

#ifdef __AVX512BF16__
// c + a.odd * b.odd, and then + a.even * b.even, each rounded once.
TERSE_INLINE F16 dot(P16 a, P16 b, F16 c) {
  return {_mm512_dpbf16_ps(c.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
}
#endif

#else

struct P16 {
  __m256i lo, hi;
};

TERSE_INLINE P16 load(const Pair* p) {
  const auto* halves = reinterpret_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}
TERSE_INLINE P16 load_first(const Pair* p, int64_t n) {
  const I16 mask = first_lanes(n);
  const auto* lanes = reinterpret_cast<const int32_t*>(p);
  return {_mm256_maskload_epi32(lanes, mask.lo), _mm256_maskload_epi32(lanes + 8, mask.hi)};
}
TERSE_INLINE __m256i join(__m128i even, __m128i odd) {
  return _mm256_or_si256(_mm256_cvtepu16_epi32(even), _mm256_slli_epi32(_mm256_cvtepu16_epi32(odd), 16));
}
TERSE_INLINE P16 join(const Bf16* even, const Bf16* odd, int64_t n) {
  Bf16 first[2 * kLanes] = {};
  if (n < kLanes) {
    for (int64_t i = 0; i < n; ++i) {
      first[i] = even[i];
      first[kLanes + i] = odd[i];
    }
    even = first;
    odd = first + kLanes;
  }
  const auto* low = reinterpret_cast<const __m128i*>(even);
  const auto* high = reinterpret_cast<const __m128i*>(odd);
  return {join(_mm_loadu_si128(low), _mm_loadu_si128(high)), join(_mm_loadu_si128(low + 1), _mm_loadu_si128(high + 1))};
}

TERSE_INLINE F16 even(P16 x) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(x.lo, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(x.hi, 16))};
}
TERSE_INLINE F16 odd(P16 x) {
  const __m256i mask = _mm256_set1_epi32(-0x10000);
  return {_mm256_castsi256_ps(_mm256_and_si256(x.lo, mask)), _mm256_castsi256_ps(_mm256_and_si256(x.hi, mask))};
}
TERSE_INLINE __m256 widen(__m128i halves) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}
TERSE_INLINE F16 load(const Bf16* p) {
  const auto* halves = reinterpret_cast<const __m128i*>(p);
  return {widen(_mm_loadu_si128(halves)), widen(_mm_loadu_si128(halves + 1))};
}
TERSE_INLINE F16 load_first(const Bf16* p, int64_t n) {
  Bf16 first[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) first[i] = p[i];
  return load(first);
}
TERSE_INLINE __m256 odd_even(__m128i pairs) {
  return widen(_mm_or_si128(_mm_slli_epi32(pairs, 16), _mm_srli_epi32(pairs, 16)));
}
TERSE_INLINE F16 odd_even(const Pair* p) {
  const auto* halves = reinterpret_cast<const __m128i*>(p);
  return {odd_even(_mm_loadu_si128(halves)), odd_even(_mm_loadu_si128(halves + 1))};
}

TERSE_INLINE __m256i round_half(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i last = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(last, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(nan)), 16);
}
TERSE_INLINE void store_first(Bf16* p, F16 x, int64_t n) {
  alignas(32) uint32_t lanes[16];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), round_half(x.lo));
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes + 8), round_half(x.hi));
  for (int64_t i = 0; i < n; ++i) p[i] = static_cast<Bf16>(lanes[i]);
}

#endif

}  // namespace terse::trainer::kernels::TERSE_ISA
