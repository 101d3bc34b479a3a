// Sixteen floats at a time, the same under all instruction sets: one AVX-512 register, or two AVX2 registers.
//
// Every operation is an IEEE operation on each lane. The only multiply-add is the explicit, fused one, because the
// files are compiled without contraction. So all instruction sets give the same bits. Everything here is in the
// namespace of its instruction set, so two objects never share an inline function that was compiled for different
// processors.
#pragma once

// GCC 12 warns about its own _mm512_undefined_ps().
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>

#define TERSE_INLINE inline __attribute__((always_inline))

namespace terse::trainer::kernels::TERSE_ISA {

inline constexpr int64_t kLanes = 16;

#ifdef __AVX512F__

struct F16 {
  __m512 v;
};
struct I16 {
  __m512i v;
};

TERSE_INLINE __mmask16 first_lanes(int64_t n) {
  return static_cast<__mmask16>((1u << n) - 1u);
}

TERSE_INLINE F16 splat(float x) {
  return {_mm512_set1_ps(x)};
}
TERSE_INLINE F16 load(const float* p) {
  return {_mm512_loadu_ps(p)};
}
TERSE_INLINE void store(float* p, F16 x) {
  _mm512_storeu_ps(p, x.v);
}
// The first n lanes, 0 <= n <= 16; the other lanes are zero, and their memory is not touched.
TERSE_INLINE F16 load_first(const float* p, int64_t n) {
  return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
}
TERSE_INLINE void store_first(float* p, F16 x, int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), x.v);
}
// The first n lanes of x, then `fill`.
TERSE_INLINE F16 keep_first(F16 x, int64_t n, F16 fill) {
  return {_mm512_mask_blend_ps(first_lanes(n), fill.v, x.v)};
}

TERSE_INLINE F16 add(F16 a, F16 b) {
  return {_mm512_add_ps(a.v, b.v)};
}
TERSE_INLINE F16 sub(F16 a, F16 b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
TERSE_INLINE F16 mul(F16 a, F16 b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
TERSE_INLINE F16 div(F16 a, F16 b) {
  return {_mm512_div_ps(a.v, b.v)};
}
TERSE_INLINE F16 sqrt(F16 a) {
  return {_mm512_sqrt_ps(a.v)};
}
TERSE_INLINE F16 fma(F16 a, F16 b, F16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}  // a * b + c, rounded once
TERSE_INLINE F16 fnma(F16 a, F16 b, F16 c) {
  return {_mm512_fnmadd_ps(a.v, b.v, c.v)};
}  // c - a * b
// Both return b when either is NaN, so a NaN in b survives.
TERSE_INLINE F16 max(F16 a, F16 b) {
  return {_mm512_max_ps(a.v, b.v)};
}
TERSE_INLINE F16 min(F16 a, F16 b) {
  return {_mm512_min_ps(a.v, b.v)};
}

TERSE_INLINE I16 round_to_int(F16 x) {
  return {_mm512_cvtps_epi32(x.v)};
}
TERSE_INLINE F16 to_float(I16 x) {
  return {_mm512_cvtepi32_ps(x.v)};
}
TERSE_INLINE I16 half(I16 x) {
  return {_mm512_srai_epi32(x.v, 1)};
}
TERSE_INLINE I16 sub(I16 a, I16 b) {
  return {_mm512_sub_epi32(a.v, b.v)};
}
// 2^x for -126 <= x <= 127.
TERSE_INLINE F16 pow2(I16 x) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(x.v, _mm512_set1_epi32(127)), 23))};
}

// The first 8 lanes, then zeros.
TERSE_INLINE F16 load_half(const float* p) {
  return {_mm512_zextps256_ps512(_mm256_loadu_ps(p))};
}
TERSE_INLINE __m256 low(F16 x) {
  return _mm512_castps512_ps256(x.v);
}
TERSE_INLINE __m256 high(F16 x) {
  return _mm512_extractf32x8_ps(x.v, 1);
}

#else

struct F16 {
  __m256 lo, hi;
};
struct I16 {
  __m256i lo, hi;
};

alignas(64) inline constexpr int32_t kFirstLanes[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                                        0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0};
TERSE_INLINE I16 first_lanes(int64_t n) {
  const int32_t* p = kFirstLanes + 16 - n;
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
}

TERSE_INLINE F16 splat(float x) {
  return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
TERSE_INLINE F16 load(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
TERSE_INLINE void store(float* p, F16 x) {
  _mm256_storeu_ps(p, x.lo);
  _mm256_storeu_ps(p + 8, x.hi);
}
TERSE_INLINE F16 load_first(const float* p, int64_t n) {
  const I16 mask = first_lanes(n);
  return {_mm256_maskload_ps(p, mask.lo), _mm256_maskload_ps(p + 8, mask.hi)};
}
TERSE_INLINE void store_first(float* p, F16 x, int64_t n) {
  const I16 mask = first_lanes(n);
  _mm256_maskstore_ps(p, mask.lo, x.lo);
  _mm256_maskstore_ps(p + 8, mask.hi, x.hi);
}
TERSE_INLINE F16 keep_first(F16 x, int64_t n, F16 fill) {
  const I16 mask = first_lanes(n);
  return {_mm256_blendv_ps(fill.lo, x.lo, _mm256_castsi256_ps(mask.lo)),
          _mm256_blendv_ps(fill.hi, x.hi, _mm256_castsi256_ps(mask.hi))};
}

TERSE_INLINE F16 add(F16 a, F16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
TERSE_INLINE F16 sub(F16 a, F16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
TERSE_INLINE F16 mul(F16 a, F16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
TERSE_INLINE F16 div(F16 a, F16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
TERSE_INLINE F16 sqrt(F16 a) {
  return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)};
}
TERSE_INLINE F16 fma(F16 a, F16 b, F16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
TERSE_INLINE F16 fnma(F16 a, F16 b, F16 c) {
  return {_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)};
}
TERSE_INLINE F16 max(F16 a, F16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
TERSE_INLINE F16 min(F16 a, F16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}

TERSE_INLINE I16 round_to_int(F16 x) {
  return {_mm256_cvtps_epi32(x.lo), _mm256_cvtps_epi32(x.hi)};
}
TERSE_INLINE F16 to_float(I16 x) {
  return {_mm256_cvtepi32_ps(x.lo), _mm256_cvtepi32_ps(x.hi)};
}
TERSE_INLINE I16 half(I16 x) {
  return {_mm256_srai_epi32(x.lo, 1), _mm256_srai_epi32(x.hi, 1)};
}
TERSE_INLINE I16 sub(I16 a, I16 b) {
  return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)};
}
TERSE_INLINE F16 pow2(I16 x) {
  const __m256i bias = _mm256_set1_epi32(127);
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(x.lo, bias), 23)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(x.hi, bias), 23))};
}

TERSE_INLINE F16 load_half(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_setzero_ps()};
}
TERSE_INLINE __m256 low(F16 x) {
  return x.lo;
}
TERSE_INLINE __m256 high(F16 x) {
  return x.hi;
}

#endif

TERSE_INLINE F16 zero() {
  return splat(0.0f);
}

// Load and store 1 <= n <= 16 lanes. They need no mask for 16 and 8.
TERSE_INLINE F16 load_some(const float* p, int64_t n) {
  return n == kLanes ? load(p) : n == kLanes / 2 ? load_half(p) : load_first(p, n);
}
TERSE_INLINE void store_some(float* p, F16 x, int64_t n) {
  if (n == kLanes) {
    store(p, x);
  } else if (n == kLanes / 2) {
    _mm256_storeu_ps(p, low(x));
  } else {
    store_first(p, x, n);
  }
}

// The sum of the lanes as a fixed tree: lanes 8 apart, then 4, 2 and 1.
TERSE_INLINE float sum_lanes(F16 x) {
  const __m256 s8 = _mm256_add_ps(low(x), high(x));
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

TERSE_INLINE float max_lanes(F16 x) {
  const __m256 s8 = _mm256_max_ps(low(x), high(x));
  const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_max_ss(s2, _mm_movehdup_ps(s2)));
}

}  // namespace terse::trainer::kernels::TERSE_ISA
