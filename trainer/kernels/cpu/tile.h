// The inner loop of every matrix product: a register tile of R rows by NV vectors, accumulated over p in order.
#pragma once

#include "trainer/kernels/cpu/bf16.h"
#include "trainer/kernels/kernels.h"

namespace terse::trainer::kernels::TERSE_ISA {

// The tile that fills the registers: 24 accumulators in 32 registers (AVX-512), or 6 accumulators of two registers each
// in 16 (AVX2).
#ifdef __AVX512F__
inline constexpr int kTileRows = 12, kTileVectors = 2;
#else
inline constexpr int kTileRows = 6, kTileVectors = 1;
#endif
inline constexpr int64_t kTileCols = kTileVectors * kLanes;
inline constexpr int kWideVectors = 4;  // of a tile of few rows, so that it still has enough independent chains

alignas(64) inline constexpr float kZeros[kWideVectors * kLanes] = {};

// c[r, col] = start[r, col] + the chain over p of a[r * a_row + p * a_step] * b[p * b_step + col], one fused
// multiply-add each. Vector v of b (columns 16 v and on) starts b_vector elements after vector v - 1. `start` is c
// itself to accumulate, a bias with start_row = 0, or kZeros. Each tile of kTileRows rows of a starts a_tile elements
// after the one before (0: kTileRows * a_row).
template <class A, class B>
struct ProductOf {
  int64_t count = 0;
  const A* a = nullptr;
  int64_t a_row = 0, a_step = 0, a_tile = 0;
  const B* b = nullptr;
  int64_t b_step = 0, b_vector = kLanes;
  const float* start = kZeros;
  int64_t start_row = 0;
  float* c = nullptr;
  int64_t c_row = 0;

  const float* start_at(int64_t row, int64_t col) const {
    return start == kZeros ? kZeros : start + row * start_row + col;
  }
};

using Product = ProductOf<float, float>;
using HalfProduct = ProductOf<float, Bf16>;  // widens b

// The inner loop reads elements of this type where both factors are bf16. They are pairs if the processor can multiply
// pairs. Otherwise they are floats, two for each pair, and the odd number comes first.
#ifdef __AVX512BF16__
using Wide = Pair;
inline constexpr int64_t kWidePerPair = 1;
#else
using Wide = float;
inline constexpr int64_t kWidePerPair = 2;
#endif

// Computes the product for any number of rows and columns, tile by tile.
void product(const Product& args, int64_t rows, int64_t cols);
void product(const HalfProduct& args, int64_t rows, int64_t cols);
// The same of pairs: a step multiplies those of b with a pair of a (kWidePerPair elements).
void product(const ProductOf<Wide, Pair>& args, int64_t rows, int64_t cols);

// Computes probabilities times values under a causal mask, for at most kTileRows rows. Row r starts from zero, takes r
// steps more than args.count, and is multiplied by row_scale[r] at the end. Steps that a row does not take are left out
// instead of multiplied by zero, because the values there may not be finite.
void causal_product(const Product& args, const float* row_scale, int64_t rows, int64_t cols);

}  // namespace terse::trainer::kernels::TERSE_ISA
