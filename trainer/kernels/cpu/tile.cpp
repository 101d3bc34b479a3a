// Instances of the register tiles, and products put together from them.
#include "trainer/kernels/cpu/tile.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

template <int R, int NV>
constexpr void add(TileRow& row) {
  if constexpr (R * NV <= kTileRows * kTileVectors) {
    row.full[NV] = product_tile<R, NV, false>;
    row.masked[NV] = product_tile<R, NV, true>;
  }
}

template <int R>
constexpr TileRow tile_row() {
  TileRow row = {};
  add<R, 1>(row);
  add<R, 2>(row);
  add<R, 3>(row);
  add<R, 4>(row);
  return row;
}

}  // namespace

constexpr TileRow kTiles[kTileRows + 1] = {
    {},
    tile_row<1>(),
    tile_row<2>(),
    tile_row<3>(),
    tile_row<4>(),
    tile_row<5>(),
    tile_row<6>(),
#ifdef __AVX512F__
    tile_row<7>(),
    tile_row<8>(),
    tile_row<9>(),
    tile_row<10>(),
    tile_row<11>(),
    tile_row<12>(),
#endif
};

void product(const Product& args, int64_t rows, int64_t cols) {
  Product tile = args;
  for (int64_t r = 0; r < rows; r += kTileRows) {
    const int64_t tile_rows = rows - r < kTileRows ? rows - r : kTileRows;
    const int widest = tile_vectors(tile_rows);
    tile.a = args.a + r * args.a_row;
    for (int64_t col = 0; col < cols;) {
      const int64_t left = cols - col;
      const int64_t vectors = left >= widest * kLanes ? widest : (left + kLanes - 1) / kLanes;
      const int64_t width = left < vectors * kLanes ? left : vectors * kLanes;
      tile.b = args.b + col / kLanes * args.b_vector;
      tile.start = args.start_at(r, col);
      tile.c = args.c + r * args.c_row + col;
      (width == vectors * kLanes ? kTiles[tile_rows].full : kTiles[tile_rows].masked)[vectors](tile, width);
      col += width;
    }
  }
}

}  // namespace terse::trainer::kernels::TERSE_ISA
