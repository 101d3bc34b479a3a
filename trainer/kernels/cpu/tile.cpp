// The register tiles, and the products that are made of them.
#include "trainer/kernels/cpu/tile.h"

#include <type_traits>

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

// One tile in registers. kMasked: only `cols` columns exist, 16 (NV - 1) < cols < 16 NV; no memory past them is
// touched.
template <int R, int NV, bool kMasked>
struct Tile {
  F16 acc[R][NV];
  int64_t last;  // columns of the last vector

  TERSE_INLINE explicit Tile(int64_t cols) : last(cols - (NV - 1) * kLanes) {}

  template <class B>
  TERSE_INLINE auto get(const B* p, int v) const {
    return kMasked && v == NV - 1 ? load_first(p, last) : load(p);
  }
  TERSE_INLINE void put(float* p, F16 x, int v) const {
    if (kMasked && v == NV - 1) {
      store_first(p, x, last);
    } else {
      store(p, x);
    }
  }

  // One step of the rows from kFirst on.
  template <int kFirst>
  TERSE_INLINE void step(const float* a, int64_t a_row, const F16 (&row)[NV]) {
#pragma GCC unroll 16
    for (int r = kFirst; r < R; ++r) {
      const F16 x = splat(a[r * a_row]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[r][v] = fma(x, row[v], acc[r][v]);
    }
  }
  template <int kFirst, class B>
  requires(!std::is_same_v<B, Pair>) TERSE_INLINE
      void step(const float* a, int64_t a_row, const B* b, int64_t b_vector) {
    F16 row[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) row[v] = get(b + v * b_vector, v);
    step<kFirst>(a, a_row, row);
  }

  // One step of pairs.
  template <int>
  TERSE_INLINE void step(const Wide* a, int64_t a_row, const Pair* b, int64_t b_vector) {
    P16 row[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) row[v] = get(b + v * b_vector, v);
#ifdef __AVX512BF16__
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const P16 x = splat(a[r * a_row]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[r][v] = dot(x, row[v], acc[r][v]);
    }
#else
    F16 wide[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) wide[v] = odd(row[v]);
    step<0>(a, a_row, wide);
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) wide[v] = even(row[v]);
    step<0>(a + 1, a_row, wide);
#endif
  }

  // The steps that not all rows take: rows from kRow on take the first one, rows from kRow + 1 on the next one.
  template <int kRow>
  TERSE_INLINE void triangle(const float* a, int64_t a_row, const float* b, int64_t b_step) {
    if constexpr (kRow < R) {
      step<kRow>(a, a_row, b, kLanes);
      triangle<kRow + 1>(a + 1, a_row, b + b_step, b_step);
    }
  }
};

template <int R, int NV, bool kMasked, class A, class B>
void product_tile(const ProductOf<A, B>& args, const float*, int64_t cols) {
  Tile<R, NV, kMasked> tile(cols);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) tile.acc[r][v] = tile.get(args.start + r * args.start_row + v * kLanes, v);
  const A* a = args.a;
  const B* b = args.b;
  const int64_t a_row = args.a_row, a_step = args.a_step, b_step = args.b_step, b_vector = args.b_vector;
  for (int64_t p = args.count; p > 0; --p, a += a_step, b += b_step) tile.template step<0>(a, a_row, b, b_vector);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) tile.put(args.c + r * args.c_row + v * kLanes, tile.acc[r][v], v);
}

template <int R, int NV, bool kMasked>
void causal_tile(const Product& args, const float* row_scale, int64_t cols) {
  Tile<R, NV, kMasked> tile(cols);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) tile.acc[r][v] = zero();
  const float* a = args.a;
  const float* b = args.b;
  const int64_t a_row = args.a_row, b_step = args.b_step;
  for (int64_t p = args.count; p > 0; --p, ++a, b += b_step) tile.template step<0>(a, a_row, b, kLanes);
  tile.template triangle<1>(a, a_row, b, b_step);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      tile.put(args.c + r * args.c_row + v * kLanes, mul(tile.acc[r][v], splat(row_scale[r])), v);
}

// The tile functions by number of rows and vectors; null where a tile would not fit into the registers.
template <class P>
using TileFunction = void (*)(const P&, const float* row_scale, int64_t cols);
template <class P>
struct TileRow {
  TileFunction<P> full[kWideVectors + 1], masked[kWideVectors + 1];
};
using Pairs = ProductOf<Wide, Pair>;
struct Tiles {
  TileRow<Product> plain[kTileRows + 1], causal[kTileRows + 1];
  TileRow<HalfProduct> halves[kTileRows + 1];
  TileRow<Pairs> pairs[kTileRows + 1];
};

template <int R, int NV>
constexpr void add(Tiles& tiles) {
  if constexpr (R * NV <= kTileRows * kTileVectors) {
    tiles.plain[R].full[NV] = product_tile<R, NV, false, float, float>;
    tiles.plain[R].masked[NV] = product_tile<R, NV, true, float, float>;
    tiles.halves[R].full[NV] = product_tile<R, NV, false, float, Bf16>;
    tiles.halves[R].masked[NV] = product_tile<R, NV, true, float, Bf16>;
    tiles.pairs[R].full[NV] = product_tile<R, NV, false, Wide, Pair>;
    tiles.pairs[R].masked[NV] = product_tile<R, NV, true, Wide, Pair>;
    tiles.causal[R].full[NV] = causal_tile<R, NV, false>;
    tiles.causal[R].masked[NV] = causal_tile<R, NV, true>;
  }
}

template <int R>
constexpr void add_rows(Tiles& tiles) {
  if constexpr (R > 0) {
    add<R, 1>(tiles);
    add<R, 2>(tiles);
    add<R, 3>(tiles);
    add<R, 4>(tiles);
    add_rows<R - 1>(tiles);
  }
}

constexpr Tiles make_tiles() {
  Tiles tiles = {};
  add_rows<kTileRows>(tiles);
  return tiles;
}

constexpr Tiles kTiles = make_tiles();

// Computes one row of tiles. Advances args along the columns.
template <class P>
void tile_row(const TileRow<P>& tiles, int64_t rows, P& args, const float* row_scale, int64_t cols) {
  const int64_t widest = rows * kWideVectors <= kTileRows * kTileVectors ? kWideVectors : kTileVectors;
  for (int64_t left = cols; left > 0;) {
    const int64_t vectors = left >= widest * kLanes ? widest : (left + kLanes - 1) / kLanes;
    const int64_t width = left < vectors * kLanes ? left : vectors * kLanes;
    (width == vectors * kLanes ? tiles.full : tiles.masked)[vectors](args, row_scale, width);
    args.b += vectors * args.b_vector;
    if (args.start != kZeros) args.start += width;
    args.c += width;
    left -= width;
  }
}

template <class P>
void all_tiles(const TileRow<P>* tiles, const P& args, int64_t rows, int64_t cols) {
  const int64_t a_tile = args.a_tile == 0 ? kTileRows * args.a_row : args.a_tile;
  for (int64_t r = 0; r < rows; r += kTileRows) {
    const int64_t tile_rows = rows - r < kTileRows ? rows - r : kTileRows;
    P tile = args;
    tile.a = args.a + r / kTileRows * a_tile;
    tile.start = args.start_at(r, 0);
    tile.c = args.c + r * args.c_row;
    tile_row(tiles[tile_rows], tile_rows, tile, nullptr, cols);
  }
}

}  // namespace

void product(const Product& args, int64_t rows, int64_t cols) {
  all_tiles(kTiles.plain, args, rows, cols);
}
void product(const HalfProduct& args, int64_t rows, int64_t cols) {
  all_tiles(kTiles.halves, args, rows, cols);
}
void product(const Pairs& args, int64_t rows, int64_t cols) {
  all_tiles(kTiles.pairs, args, rows, cols);
}

void causal_product(const Product& args, const float* row_scale, int64_t rows, int64_t cols) {
  Product tile = args;
  tile_row(kTiles.causal[rows], rows, tile, row_scale, cols);
}

}  // namespace terse::trainer::kernels::TERSE_ISA
