// Matrix products, blocked for the caches. The blocks of the summed dimension run in order, and each continues from the
// output. So each output stays one chain. Factors in bf16 become floats on the way into the caches.
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
constexpr int64_t kRowsToPack = 2 * kTileRows;  // with fewer rows, copying a panel of floats does not pay
constexpr int64_t kTreeRows = 16 * kTileRows;   // rows of a block whose sums over sequences stay in the caches

template <class T>
constexpr bool kFloats = sizeof(T) == sizeof(float);

// How the matrix b of a product is stored.
enum class Stored {
  kRows,    // as it is: b_step elements from one step to the next
  kPanels,  // by pack_weight(): b_vector is the size of a panel
};

// c[rows, cols] = start + a b, with the factors as they are in memory. In gradients of weights a_row is 1, elsewhere
// a_step is.
template <class T>
struct Factors {
  int64_t count = 0;  // of the summed dimension
  const T* a = nullptr;
  int64_t a_row = 0, a_step = 0;
  const T* b = nullptr;
  Stored stored = Stored::kRows;
  int64_t b_step = 0, b_vector = kLanes;
};

// Copies columns of b into contiguous rows of kTileCols floats, padded with zeros.
template <class T>
void pack_panel(const T* b, int64_t b_step, int64_t b_vector, int64_t depth, int64_t cols, float* panel) {
  for (int64_t p = 0; p < depth; ++p, b += b_step, panel += kTileCols)
    for (int v = 0; v < kTileVectors; ++v) {
      const int64_t left = max_of(0, min_of(kLanes, cols - v * kLanes));
      store(panel + v * kLanes, load_first(b + v * b_vector, left));
    }
}

// Copies the rows of a into `to`, and describes them there to `args`. Rows that are next to each other become tiles
// [ceil(rows / kTileRows)][count][kTileRows], so that a step no longer jumps to another page of memory. Others become
// rows of floats.
template <class T>
void pack_rows(const Factors<T>& from, const T* a, int64_t rows, float* to, Product& args) {
  const int64_t count = from.count;
  args.a = to;
  if (from.a_step == 1) {
    args.a_row = count;
    args.a_step = 1;
    args.a_tile = 0;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t p = 0; p < count; p += kLanes) {
        const int64_t n = min_of(kLanes, count - p);
        store_some(to + row * count + p, load_first(a + row * from.a_row + p, n), n);
      }
    return;
  }
  args.a_row = 1;
  args.a_step = kTileRows;
  args.a_tile = count * kTileRows;
  for (int64_t row = 0; row < rows; row += kTileRows) {
    const int64_t height = min_of(kTileRows, rows - row);
    for (int64_t p = 0; p < count; ++p, to += kTileRows)
      store_first(to, load_first(a + row + p * from.a_step, height), kTileRows);
  }
}

// One tile of rows reads each part of a packed weight once, so it takes the weight as it is, and all steps at a time.
template <class T>
void tile_of_rows(const Factors<T>& from, const Product& args, int64_t rows, int64_t cols) {
  ProductOf<T> tile{.count = from.count,
                    .a = args.a,
                    .a_row = args.a_row,
                    .a_step = args.a_step,
                    .b = from.b,
                    .b_step = from.b_step,
                    .b_vector = from.b_vector,
                    .start = args.start,
                    .start_row = args.start_row,
                    .c = args.c,
                    .c_row = args.c_row};
  product(tile, rows, cols);
}

// Computes one block of rows, which `args` describes, for the columns [0, cols).
template <class T>
void row_block(const Factors<T>& from, const Product& args, int64_t rows, int64_t cols, float* panel) {
  for (int64_t col = 0; col < cols; col += kTileCols) {
    const int64_t width = min_of(kTileCols, cols - col);
    Product block = args;
    block.c = args.c + col;
    for (int64_t p = 0; p < from.count || p == 0; p += kDepth) {
      block.count = min_of(kDepth, from.count - p);
      block.a = args.a + p * args.a_step;
      if (kFloats<T> && from.stored == Stored::kPanels) {
        block.b = reinterpret_cast<const float*>(from.b) + col / kLanes * from.b_vector + p * kLanes;
        block.b_step = kLanes;
        block.b_vector = from.b_vector;
      } else {
        const T* b = from.stored == Stored::kPanels ? from.b + col / kLanes * from.b_vector + p * kLanes
                                                    : from.b + p * from.b_step + col;
        pack_panel(b, from.b_step, from.b_vector, block.count, width, panel);
        block.b = panel;
        block.b_step = kTileCols;
        block.b_vector = kLanes;
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

// `out` has start, c and their rows.
template <class T>
void parallel_product(const Factors<T>& args, const Product& out, int64_t rows, int64_t cols) {
  const int64_t work = 2 * rows * cols * args.count;
  const Grid grid = split(rows, cols, threads_for(work));
  parallel_tasks(grid.row_parts * grid.col_parts, work, [&](int64_t part) {
    const Range r = share(rows, grid.row_parts, part / grid.col_parts);
    const Range c = share(cols, grid.col_parts, part % grid.col_parts, kTileCols);
    if (r.begin == r.end || c.begin == c.end) return;
    Factors<T> mine = args;
    mine.b += args.stored == Stored::kPanels ? c.begin / kLanes * args.b_vector : c.begin;
    float* panel = scratch(kDepth * kTileCols + (kFloats<T> ? 0 : min_of(kRowBlock, rows) * args.count));
    for (int64_t row = r.begin; row < r.end; row += kRowBlock) {
      const int64_t height = min_of(kRowBlock, r.end - row);
      Product block = out;
      block.count = args.count;
      block.start = out.start_at(row, c.begin);
      block.c = out.c + row * out.c_row + c.begin;
      const T* a = args.a + row * args.a_row;
      if (kFloats<T>) {
        block.a = reinterpret_cast<const float*>(a);
        block.a_row = args.a_row;
        block.a_step = 1;
      } else {
        pack_rows(args, a, height, panel + kDepth * kTileCols, block);
      }
      const bool few = args.stored == Stored::kPanels ? height <= kTileRows : kFloats<T> && height < kRowsToPack;
      if (few)
        tile_of_rows(mine, block, height, c.end - c.begin);
      else
        row_block(mine, block, height, c.end - c.begin, panel);
    }
  });
}

// c[rows, kTileCols] = the chain over the steps from zero, for the columns [0, cols) of b.
template <class T>
void sequence_product(Product args, const T* b, int64_t b_step, int64_t rows, int64_t cols, float* panel) {
  const Product whole = args;
  args.b = panel;
  args.b_step = kTileCols;
  for (int64_t p = 0; p < whole.count; p += kDepth) {
    args.count = min_of(kDepth, whole.count - p);
    args.a = whole.a + p * whole.a_step;
    pack_panel(b + p * b_step, b_step, kLanes, args.count, cols, panel);
    product(args, rows, cols);
    args.start = args.c;
    args.start_row = args.c_row;
  }
}

// c[n_begin.., k_begin..] += the tree over the sequences, for one block of rows and columns of the weight.
template <class T>
struct WeightBlock {
  const T *a, *b;
  float* c;
  Sequences rows;
  int64_t n, k;  // of the whole weight

  void run(Range r, Range cols) const {
    constexpr int64_t kBlock = kTreeRows * kTileCols;
    const int64_t first = rows.starts[0], tokens = rows.rows() - first;
    float* panel = scratch(kDepth * kTileCols + (1 + tree_depth(rows.count)) * kBlock + kTreeRows * tokens);
    float* sum = panel + kDepth * kTileCols;
    float* tiles = sum + (1 + tree_depth(rows.count)) * kBlock;
    const Factors<T> factors{.count = tokens, .a_row = 1, .a_step = n};
    for (int64_t row = r.begin; row < r.end; row += kTreeRows) {
      const int64_t height = min_of(kTreeRows, r.end - row);
      Product whole{.c_row = kTileCols};
      pack_rows(factors, a + first * n + row, height, tiles, whole);
      for (int64_t col = cols.begin; col < cols.end; col += kTileCols) {
        const int64_t width = min_of(kTileCols, cols.end - col);
        const auto leaf = [&](int64_t sequence, float* to) {
          const int64_t begin = rows.starts[sequence];
          Product part = whole;
          part.count = rows.starts[sequence + 1] - begin;
          part.a = whole.a + (begin - first) * whole.a_step;
          part.c = to;
          sequence_product(part, b + begin * k + col, k, height, width, panel);
        };
        tree_sum(rows, 0, rows.count, sum, sum + kBlock, height * kTileCols, leaf);
        for (int64_t i = 0; i < height; ++i) add_into(c + (row + i) * k + col, sum + i * kTileCols, width);
      }
    }
  }
};

template <class T>
void add_weight_grad(const T* a, const T* b, float* c, const Sequences& rows, int64_t n, int64_t k) {
  if (rows.count == 0 || rows.rows() == 0) return;
  const int64_t work = 2 * rows.rows() * n * k;
  const Grid grid = split(n, k, threads_for(work));
  const WeightBlock<T> block = {a, b, c, rows, n, k};
  parallel_tasks(grid.row_parts * grid.col_parts, work, [&](int64_t part) {
    block.run(share(n, grid.row_parts, part / grid.col_parts),
              share(k, grid.col_parts, part % grid.col_parts, kTileCols));
  });
}

// Describes y[M, N], which starts from zero, from a bias (may be null), or from itself.
Product output(const float* bias, float* y, int64_t n, bool accumulate) {
  Product out{.c = y, .c_row = n};
  if (accumulate) {
    out.start = y;
    out.start_row = n;
  } else if (bias != nullptr) {
    out.start = bias;
  }
  return out;
}

template <class T>
void pack(const T* w, T* panels, int64_t n, int64_t k) {
  parallel_ranges(n, 8 * k, kLanes, [&](int64_t begin, int64_t end) {
    transpose_blocks(w + begin * k, k, end - begin, k, panels + begin * k);
  });
}

template <class T>
Factors<T> by_rows(const T* x, const T* w, int64_t n, int64_t k) {
  return {.count = k, .a = x, .a_row = k, .a_step = 1, .b = w, .b_step = n};
}

template <class T>
Factors<T> by_panels(const T* x, const T* panels, int64_t k) {
  return {.count = k,
          .a = x,
          .a_row = k,
          .a_step = 1,
          .b = panels,
          .stored = Stored::kPanels,
          .b_step = kLanes,
          .b_vector = k * kLanes};
}

}  // namespace

void gemm(const float* x, const float* w, const float* bias, float* y, int64_t m, int64_t n, int64_t k,
          bool accumulate) {
  parallel_product(by_rows(x, w, n, k), output(bias, y, n, accumulate), m, n);
}
void gemm_bf16(const Bf16* x, const Bf16* w, float* y, int64_t m, int64_t n, int64_t k, bool accumulate) {
  parallel_product(by_rows(x, w, n, k), output(nullptr, y, n, accumulate), m, n);
}

void gemm_packed(const float* x, const float* panels, const float* bias, float* y, int64_t m, int64_t n, int64_t k) {
  parallel_product(by_panels(x, panels, k), output(bias, y, n, false), m, n);
}
void gemm_packed_bf16(const Bf16* x, const Bf16* panels, const float* bias, float* y, int64_t m, int64_t n, int64_t k) {
  parallel_product(by_panels(x, panels, k), output(bias, y, n, false), m, n);
}

void weight_grad(const float* a, const float* b, float* c, const Sequences& rows, int64_t n, int64_t k) {
  add_weight_grad(a, b, c, rows, n, k);
}
void weight_grad_bf16(const Bf16* a, const Bf16* b, float* c, const Sequences& rows, int64_t n, int64_t k) {
  add_weight_grad(a, b, c, rows, n, k);
}

void pack_weight(const float* w, float* panels, int64_t n, int64_t k) {
  pack(w, panels, n, k);
}
void pack_weight_bf16(const Bf16* w, Bf16* panels, int64_t n, int64_t k) {
  pack(w, panels, n, k);
}

void round_to_bf16(const float* x, Bf16* y, int64_t count) {
  parallel_ranges(count, 4, kLanes, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes) {
      const int64_t n = min_of(kLanes, end - i);
      store_first(y + i, load_first(x + i, n), n);
    }
  });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
