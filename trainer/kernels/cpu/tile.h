// The inner loop of every matrix product: a register tile of R rows by NV vectors, accumulated over p in order.
#pragma once

#include "trainer/kernels/cpu/vec.h"

namespace terse::trainer::kernels::TERSE_ISA {

// The tile that fills the registers: 24 accumulators of 32 registers, or 12 (two halves each) of 16.
#ifdef __AVX512F__
inline constexpr int kTileRows = 12, kTileVectors = 2;
#else
inline constexpr int kTileRows = 6, kTileVectors = 1;
#endif
inline constexpr int64_t kTileCols = kTileVectors * kLanes;
inline constexpr int kWideVectors =
    4;  // the width of a tile of few rows, so that it still has enough independent chains
inline constexpr int64_t kWideCols = kWideVectors * kLanes;

alignas(64) inline constexpr float kZeros[kWideCols] = {};

// c[r, col] = start[r, col] + the chain over p of a[r * a_row + p * a_step] * b[p * b_step + col], one fused
// multiply-add each. Vector v of b (columns 16 v and on) lies b_vector floats after the one before. `start` is c itself
// to accumulate, a bias with start_row = 0, or kZeros.
struct Product {
  int64_t count = 0;
  const float* a = nullptr;
  int64_t a_row = 0, a_step = 0;
  const float* b = nullptr;
  int64_t b_step = 0, b_vector = kLanes;
  const float* start = kZeros;
  int64_t start_row = 0;
  float* c = nullptr;
  int64_t c_row = 0;

  const float* start_at(int64_t row, int64_t col) const {
    return start == kZeros ? kZeros : start + row * start_row + col;
  }
};

// kMasked: only `cols` columns exist, 16 (NV - 1) < cols < 16 NV; no memory past them is touched.
template <int R, int NV, bool kMasked>
void product_tile(const Product& args, int64_t cols) {
  const int64_t last = cols - (NV - 1) * kLanes;
  const auto get = [last](const float* p, int v) __attribute__((always_inline)) {
    return kMasked && v == NV - 1 ? load_first(p, last) : load(p);
  };
  const float* a = args.a;
  const float* b = args.b;
  const int64_t a_row = args.a_row, a_step = args.a_step, b_step = args.b_step, b_vector = args.b_vector;
  F16 acc[R][NV];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[r][v] = get(args.start + r * args.start_row + v * kLanes, v);
  for (int64_t p = args.count; p > 0; --p) {
    F16 row[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) row[v] = get(b + v * b_vector, v);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const F16 x = splat(a[r * a_row]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[r][v] = fma(x, row[v], acc[r][v]);
    }
    a += a_step;
    b += b_step;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      float* out = args.c + r * args.c_row + v * kLanes;
      if (kMasked && v == NV - 1) {
        store_first(out, acc[r][v], last);
      } else {
        store(out, acc[r][v]);
      }
    }
}

// The tile functions for 1..kTileRows rows, chosen at run time.
using TileFunction = void (*)(const Product&, int64_t cols);
struct TileRow {
  TileFunction full[kWideVectors + 1],
      masked[kWideVectors + 1];  // by number of vectors; null where no such tile is built
};
extern const TileRow kTiles[kTileRows + 1];  // by number of rows

// The number of vectors of the widest tile of so many rows.
TERSE_INLINE int tile_vectors(int64_t rows) {
  return rows * kWideVectors <= kTileRows * kTileVectors ? kWideVectors : kTileVectors;
}

// Product of any number of rows and columns, tile by tile; b has b_vector between any two of its vectors.
void product(const Product& args, int64_t rows, int64_t cols);

}  // namespace terse::trainer::kernels::TERSE_ISA
