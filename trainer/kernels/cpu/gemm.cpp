// Matrix products, blocked for the caches. The blocks of the summed dimension run in order, and each continues from the
// output. So each output stays one chain.
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/parallel.h"
#include "trainer/kernels/cpu/tile.h"
#include "trainer/kernels/cpu/tree.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

constexpr int64_t kDepth = 192;  // steps of a block of the summed dimension: a panel of b takes up to 24 KB
constexpr int64_t kRowBlock = 20 * kTileRows;   // rows whose part of `a` stays in the second-level cache
constexpr int64_t kRowsToPack = 2 * kTileRows;  // with fewer rows, copying a panel does not pay
constexpr int64_t kTreeRows = 8 * kTileRows;    // rows of a block whose sums over sequences stay in the caches

// Copies columns of b into contiguous rows of kTileCols, padded with zeros.
void pack_panel(const float* b, int64_t b_step, int64_t depth, int64_t cols, float* panel) {
  for (int64_t p = 0; p < depth; ++p, b += b_step, panel += kTileCols)
    for (int v = 0; v < kTileVectors; ++v) {
      const int64_t left = max_of(0, min_of(kLanes, cols - v * kLanes));
      store(panel + v * kLanes, load_first(b + v * kLanes, left));
    }
}

// Computes one block of rows over all steps of the summed dimension, for the columns [0, cols).
void row_block(const Product& args, int64_t rows, int64_t cols, float* panel) {
  Product block = args;
  for (int64_t p = 0; p < args.count || p == 0; p += kDepth) {
    block.count = min_of(kDepth, args.count - p);
    for (int64_t col = 0; col < cols; col += kTileCols) {
      const int64_t width = min_of(kTileCols, cols - col);
      pack_panel(args.b + p * args.b_step + col, args.b_step, block.count, width, panel);
      block.a = args.a + p * args.a_step;
      block.b = panel;
      block.b_step = kTileCols;
      block.c = args.c + col;
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
  Grid best = {1, 1};
  int64_t least = INT64_MAX;
  for (int64_t row_parts = threads; row_parts >= 1; --row_parts) {
    const int64_t col_parts = threads / row_parts;
    const int64_t cost = ceil_div(rows, row_parts) * ceil_div(ceil_div(cols, kTileCols), col_parts);
    if (cost < least) {
      least = cost;
      best = {row_parts, col_parts};
    }
  }
  return best;
}

void parallel_product(const Product& args, int64_t rows, int64_t cols) {
  const Grid grid = split(rows, cols, threads_for(2 * rows * cols * args.count));
  parallel_tasks(grid.row_parts * grid.col_parts, 2 * rows * cols * args.count, [&](int64_t part) {
    const Range r = share(rows, grid.row_parts, part / grid.col_parts);
    const Range c = share(cols, grid.col_parts, part % grid.col_parts, kTileCols);
    if (r.begin == r.end || c.begin == c.end) return;
    Product mine = args;
    mine.b += c.begin;
    const auto at_row = [&](int64_t row) {
      mine.a = args.a + row * args.a_row;
      mine.c = args.c + row * args.c_row + c.begin;
      mine.start = args.start_at(row, c.begin);
    };
    at_row(r.begin);
    if (r.end - r.begin < kRowsToPack) {
      product(mine, r.end - r.begin, c.end - c.begin);
      return;
    }
    float* panel = scratch(kDepth * kTileCols);
    for (int64_t row = r.begin; row < r.end; row += kRowBlock) {
      at_row(row);
      row_block(mine, min_of(kRowBlock, r.end - row), c.end - c.begin, panel);
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
    float* panel = scratch(kDepth * kTileCols + (1 + tree_depth(rows.count)) * kBlock);
    float* sum = panel + kDepth * kTileCols;
    for (int64_t row = r.begin; row < r.end; row += kTreeRows)
      for (int64_t col = cols.begin; col < cols.end; col += kTileCols) {
        const int64_t height = min_of(kTreeRows, r.end - row), width = min_of(kTileCols, cols.end - col);
        const auto leaf = [&](int64_t sequence, float* to) {
          const int64_t first = rows.starts[sequence];
          sequence_product({.count = rows.starts[sequence + 1] - first,
                            .a = a + first * n + row,
                            .a_row = 1,
                            .a_step = n,
                            .b = b + first * k + col,
                            .b_step = k,
                            .c = to,
                            .c_row = kTileCols},
                           height, width, panel);
        };
        tree_sum(rows, 0, rows.count, sum, sum + kBlock, height * kTileCols, leaf);
        for (int64_t i = 0; i < height; ++i) add_into(c + (row + i) * k + col, sum + i * kTileCols, width);
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
  parallel_product(args, m, n);
}

void gemm_tn(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k, bool accumulate) {
  Product args{.count = m, .a = a, .a_row = 1, .a_step = n, .b = b, .b_step = k, .c = c, .c_row = k};
  if (accumulate) {
    args.start = c;
    args.start_row = k;
  }
  parallel_product(args, n, k);
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

void transpose(const float* in, float* out, int64_t rows, int64_t cols) {
  constexpr int64_t kBlock = 16;
  parallel_ranges(cols, 8 * rows, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c += kBlock)
      for (int64_t r = 0; r < rows; r += kBlock) {
        const int64_t c_end = min_of(c + kBlock, end), r_end = min_of(r + kBlock, rows);
        for (int64_t i = c; i < c_end; ++i)
          for (int64_t j = r; j < r_end; ++j) out[i * rows + j] = in[j * cols + i];
      }
  });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
