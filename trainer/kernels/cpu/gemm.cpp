// Matrix products, blocked for the caches. The blocks of the summed dimension run in order, and each continues from the
// output. So each output stays one chain.
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/parallel.h"
#include "trainer/kernels/cpu/tile.h"
#include "trainer/kernels/cpu/transpose.h"
#include "trainer/kernels/cpu/tree.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

constexpr int64_t kDepth = 192;  // steps of a block of the summed dimension: a panel of b takes up to 24 KB
constexpr int64_t kRowBlock = 8 * kTileRows;    // rows that share a panel of b; their part of a stays in the caches
constexpr int64_t kRowsToPack = 2 * kTileRows;  // with fewer rows, copying a panel does not pay
constexpr int64_t kTreeRows = 16 * kTileRows;   // rows of a block whose sums over sequences stay in the caches

// Copies columns of b into contiguous rows of kTileCols, padded with zeros.
void pack_panel(const float* b, int64_t b_step, int64_t depth, int64_t cols, float* panel) {
  for (int64_t p = 0; p < depth; ++p, b += b_step, panel += kTileCols)
    for (int v = 0; v < kTileVectors; ++v) {
      const int64_t left = max_of(0, min_of(kLanes, cols - v * kLanes));
      store(panel + v * kLanes, load_first(b + v * kLanes, left));
    }
}

// Copies a factor whose rows are next to each other into tiles [ceil(rows / kTileRows)][count][kTileRows], so that
// `args.a` no longer jumps to another page of memory with each step. Points args.a to them.
void pack_tiles(Product& args, int64_t rows, float* tiles) {
  const float* a = args.a;
  args.a = tiles;
  for (int64_t row = 0; row < rows; row += kTileRows) {
    const int64_t height = min_of(kTileRows, rows - row);
    for (int64_t p = 0; p < args.count; ++p, tiles += kTileRows)
      store_first(tiles, load_first(a + row + p * args.a_step, height), kTileRows);
  }
  args.a_step = kTileRows;
  args.a_tile = args.count * kTileRows;
}

// How the matrix b of a product is stored.
enum class Stored {
  kRows,    // as it is: args.b_step floats from one step to the next
  kPanels,  // by pack_weight(): b_vector is the size of a panel
};

// Computes one block of rows for the columns [0, cols). `panel` is for b as rows.
void row_block(const Product& args, Stored b, int64_t rows, int64_t cols, float* panel) {
  // One tile of rows uses each part of b once, so there is nothing to keep in a cache, and few rows have wide tiles.
  const bool once = b == Stored::kPanels && rows <= kTileRows;
  const int64_t depth = once ? max_of(1, args.count) : kDepth;
  const int64_t step = once && rows * kWideVectors <= kTileRows * kTileVectors ? kWideVectors * kLanes : kTileCols;
  for (int64_t col = 0; col < cols; col += step) {
    const int64_t width = min_of(step, cols - col);
    Product block = args;
    block.c = args.c + col;
    for (int64_t p = 0; p < args.count || p == 0; p += depth) {
      block.count = min_of(depth, args.count - p);
      block.a = args.a + p * args.a_step;
      if (b == Stored::kPanels) {
        block.b = args.b + col / kLanes * args.b_vector + p * kLanes;
      } else {
        pack_panel(args.b + p * args.b_step + col, args.b_step, block.count, width, panel);
        block.b = panel;
        block.b_step = kTileCols;
      }
      block.start = p == 0 ? args.start_at(0, col) : block.c;
      block.start_row = p == 0 ? args.start_row : args.c_row;
      product(block, rows, width);
    }
  }
}

// Splits rows times columns into parts of nearly equal size, columns in whole tiles.
struct Grid {
  int64_t row_parts, col_parts;
};
Grid split(int64_t rows, int64_t cols, int64_t threads) {
  // Among equals, the one with the fewest parts of rows: each part of rows reads all of b.
  Grid best = {1, 1};
  int64_t least = INT64_MAX;
  for (int64_t row_parts = 1; row_parts <= threads; ++row_parts) {
    const int64_t col_parts = threads / row_parts;
    const int64_t cost = ceil_div(rows, row_parts) * ceil_div(ceil_div(cols, kTileCols), col_parts);
    if (cost < least) {
      least = cost;
      best = {row_parts, col_parts};
    }
  }
  return best;
}

void parallel_product(const Product& args, Stored b, int64_t rows, int64_t cols) {
  const Grid grid = split(rows, cols, threads_for(2 * rows * cols * args.count));
  parallel_tasks(grid.row_parts * grid.col_parts, 2 * rows * cols * args.count, [&](int64_t part) {
    const Range r = share(rows, grid.row_parts, part / grid.col_parts);
    const Range c = share(cols, grid.col_parts, part % grid.col_parts, kTileCols);
    if (r.begin == r.end || c.begin == c.end) return;
    Product mine = args;
    mine.b += b == Stored::kPanels ? c.begin / kLanes * args.b_vector : c.begin;
    const auto at_row = [&](int64_t row) {
      mine.a = args.a + row * args.a_row;
      mine.c = args.c + row * args.c_row + c.begin;
      mine.start = args.start_at(row, c.begin);
    };
    at_row(r.begin);
    if (b == Stored::kRows && r.end - r.begin < kRowsToPack) {
      product(mine, r.end - r.begin, c.end - c.begin);
      return;
    }
    float* panel = scratch(kDepth * kTileCols);
    for (int64_t row = r.begin; row < r.end; row += kRowBlock) {
      const int64_t height = min_of(kRowBlock, r.end - row);
      at_row(row);
      row_block(mine, b, height, c.end - c.begin, panel);
    }
  });
}

// c[rows, kTileCols] = the chain over args.count steps from zero, for the columns [0, cols) of b.
void sequence_product(Product args, int64_t rows, int64_t cols, float* panel) {
  const Product whole = args;
  for (int64_t p = 0; p < whole.count; p += kDepth) {
    args.count = min_of(kDepth, whole.count - p);
    args.a = whole.a + p * whole.a_step;
    args.b = whole.b + p * whole.b_step;
    if (rows >= kRowsToPack) {
      pack_panel(args.b, args.b_step, args.count, cols, panel);
      args.b = panel;
      args.b_step = kTileCols;
    }
    product(args, rows, cols);
    args.b_step = whole.b_step;
    args.start = args.c;
    args.start_row = args.c_row;
  }
}

// c[n_begin.., k_begin..] += the tree over the sequences, for one block of rows and columns of the weight.
struct WeightBlock {
  const float *a, *b;
  float* c;
  Sequences rows;
  int64_t n, k;  // of the whole weight

  void run(Range r, Range cols) const {
    constexpr int64_t kBlock = kTreeRows * kTileCols;
    const int64_t first = rows.starts[0], tokens = rows.rows() - first;
    float* panel = scratch(kDepth * kTileCols + (1 + tree_depth(rows.count)) * kBlock + kTreeRows * tokens);
    float* sum = panel + kDepth * kTileCols;
    float* tiles = sum + (1 + tree_depth(rows.count)) * kBlock;
    for (int64_t row = r.begin; row < r.end; row += kTreeRows) {
      const int64_t height = min_of(kTreeRows, r.end - row);
      Product whole{
          .count = tokens, .a = a + first * n + row, .a_row = 1, .a_step = n, .b_step = k, .c_row = kTileCols};
      pack_tiles(whole, height, tiles);
      for (int64_t col = cols.begin; col < cols.end; col += kTileCols) {
        const int64_t width = min_of(kTileCols, cols.end - col);
        const auto leaf = [&](int64_t sequence, float* to) {
          const int64_t begin = rows.starts[sequence];
          Product part = whole;
          part.count = rows.starts[sequence + 1] - begin;
          part.a = whole.a + (begin - first) * whole.a_step;
          part.b = b + begin * k + col;
          part.c = to;
          sequence_product(part, height, width, panel);
        };
        tree_sum(rows, 0, rows.count, sum, sum + kBlock, height * kTileCols, leaf);
        for (int64_t i = 0; i < height; ++i) add_into(c + (row + i) * k + col, sum + i * kTileCols, width);
      }
    }
  }
};

}  // namespace

void gemm(const float* x, const float* w, const float* bias, float* y, int64_t m, int64_t n, int64_t k,
          bool accumulate) {
  Product args{.count = k, .a = x, .a_row = k, .a_step = 1, .b = w, .b_step = n, .c = y, .c_row = n};
  if (accumulate) {
    args.start = y;
    args.start_row = n;
  } else if (bias != nullptr) {
    args.start = bias;
  }
  parallel_product(args, Stored::kRows, m, n);
}

void gemm_packed(const float* x, const float* panels, const float* bias, float* y, int64_t m, int64_t n, int64_t k) {
  Product args{.count = k,
               .a = x,
               .a_row = k,
               .a_step = 1,
               .b = panels,
               .b_step = kLanes,
               .b_vector = k * kLanes,
               .c = y,
               .c_row = n};
  if (bias != nullptr) args.start = bias;
  parallel_product(args, Stored::kPanels, m, n);
}

void weight_grad(const float* a, const float* b, float* c, const Sequences& rows, int64_t n, int64_t k) {
  if (rows.count == 0 || rows.rows() == 0) return;
  const int64_t work = 2 * rows.rows() * n * k;
  const Grid grid = split(n, k, threads_for(work));
  const WeightBlock block = {a, b, c, rows, n, k};
  parallel_tasks(grid.row_parts * grid.col_parts, work, [&](int64_t part) {
    block.run(share(n, grid.row_parts, part / grid.col_parts),
              share(k, grid.col_parts, part % grid.col_parts, kTileCols));
  });
}

void pack_weight(const float* w, float* panels, int64_t n, int64_t k) {
  parallel_ranges(n, 8 * k, kLanes, [&](int64_t begin, int64_t end) {
    transpose_blocks(w + begin * k, k, end - begin, k, panels + begin * k);
  });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
