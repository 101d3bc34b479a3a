// Matrix products, blocked for the caches. The blocks of the summed dimension run in order, and each continues from the
// output. So each output stays one chain.
#include <type_traits>

#include "trainer/kernels/cpu/factors.h"
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/transpose.h"
#include "trainer/kernels/cpu/tree.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

constexpr int64_t kDepth = 192;  // steps of a block of the summed dimension: a panel of b takes up to 24 KB
constexpr int64_t kRowBlock = 8 * kTileRows;    // rows that share a panel of b; their part of a stays in the caches
constexpr int64_t kTallBlock = 32 * kTileRows;  // the same where copying the panel costs more than reading a again
constexpr int64_t kRowsToPack = 2 * kTileRows;  // with fewer rows, copying a panel of floats does not pay
constexpr int64_t kTreeRows = 16 * kTileRows;   // rows of a block whose sums over sequences stay in the caches

// Whether tiles read this factor from scratch memory in the form that it has in a packed weight.
template <class T>
constexpr bool kReadsPacked = std::is_same_v<Stored<T>, Cached<T>>;

// The output of a product, and what it starts from.
struct Output {
  const float* start = kZeros;
  int64_t start_row = 0;
  float* c = nullptr;
  int64_t c_row = 0;

  Output at(int64_t row, int64_t col) const {
    return {start == kZeros ? kZeros : start + row * start_row + col, start_row, c + row * c_row + col, c_row};
  }
};

// A matrix b of a product: rows of `step` numbers, or the panels of a packed weight if that is 0.
template <class T>
struct Weight {
  const T* rows = nullptr;
  int64_t step = 0;
  const Stored<T>* panels = nullptr;
  int64_t panel = 0;  // elements of a panel of kLanes columns

  Weight from(int64_t col) const {
    return step > 0 ? Weight{rows + col, step} : Weight{nullptr, 0, panels + col / kLanes * panel, panel};
  }
};

template <class P, class T>
P product_of(const CachedRows<T>& a, const Output& out) {
  P product;
  product.a = a.a;
  product.a_row = a.row;
  product.a_step = a.step;
  product.a_tile = a.tile;
  product.start = out.start;
  product.start_row = out.start_row;
  product.c = out.c;
  product.c_row = out.c_row;
  return product;
}

// Few rows read each part of b once, so they take it as it is in memory, and all steps at a time.
template <class T>
void few_rows(const CachedRows<T>& a, const Weight<T>& b, int64_t count, const Output& out, int64_t rows,
              int64_t cols) {
  if (b.step == 0) {
    auto tile = product_of<ProductOf<Cached<T>, Stored<T>>>(a, out);
    tile.count = (count + Factor<T>::kSize - 1) / Factor<T>::kSize;
    tile.a_step = Factor<T>::steps(1) * a.step;
    tile.b = b.panels;
    tile.b_step = kLanes;
    tile.b_vector = b.panel;
    product(tile, rows, cols);
  } else if constexpr (std::is_same_v<T, float>) {
    auto tile = product_of<Product>(a, out);
    tile.count = count;
    tile.b = b.rows;
    tile.b_step = b.step;
    product(tile, rows, cols);
  }
}

// Computes one block of rows.
template <class T>
void row_block(const CachedRows<T>& a, const Weight<T>& b, int64_t count, const Output& out, int64_t rows, int64_t cols,
               Cached<T>* panel) {
  for (int64_t col = 0; col < cols; col += kTileCols) {
    const int64_t width = min_of(kTileCols, cols - col);
    const Weight<T> columns = b.from(col);
    Output to = out.at(0, col);
    for (int64_t p = 0; p < count || p == 0; p += kDepth) {
      const int64_t depth = min_of(kDepth, count - p), before = Factor<T>::steps(p);
      auto block = product_of<ProductOf<Cached<T>, Cached<T>>>(a, to);
      block.count = Factor<T>::steps(depth);
      block.a += before * a.step;
      block.b = panel;
      block.b_step = kTileCols;
      if (b.step > 0) {
        pack_panel(columns.rows + p * b.step, b.step, depth, width, panel);
      } else if constexpr (kReadsPacked<T>) {
        block.b = columns.panels + before * kLanes;
        block.b_step = kLanes;
        block.b_vector = b.panel;
      } else {
        pack_panel(columns.panels + p / 2 * kLanes, b.panel, (depth + 1) / 2, width, panel);
      }
      product(block, rows, width);
      to.start = to.c;
      to.start_row = to.c_row;
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

template <class T>
void parallel_product(const T* a, const Weight<T>& b, const Output& out, int64_t rows, int64_t cols, int64_t count) {
  const int64_t work = 2 * rows * cols * count;
  const Grid grid = split(rows, cols, threads_for(work));
  parallel_tasks(grid.row_parts * grid.col_parts, work, [&](int64_t part) {
    const Range r = share(rows, grid.row_parts, part / grid.col_parts);
    const Range c = share(cols, grid.col_parts, part % grid.col_parts, kTileCols);
    if (r.begin == r.end || c.begin == c.end) return;
    const int64_t panel_size = kDepth * kTileCols;
    const int64_t block_rows = std::is_same_v<T, float> && b.step > 0 ? kTallBlock : kRowBlock;
    const int64_t rows_size = std::is_same_v<T, float> ? 0 : min_of(block_rows, rows) * Factor<T>::steps(count);
    auto* const panel = reinterpret_cast<Cached<T>*>(scratch(panel_size + rows_size));
    const Weight<T> mine = b.from(c.begin);
    for (int64_t row = r.begin; row < r.end; row += block_rows) {
      const int64_t height = min_of(block_rows, r.end - row);
      const CachedRows<T> block = pack_rows(a + row * count, count, height, count, panel + panel_size);
      const Output to = out.at(row, c.begin);
      const bool few = b.step == 0 ? height <= kTileRows : std::is_same_v<T, float> && height < kRowsToPack;
      if (few)
        few_rows(block, mine, count, to, height, c.end - c.begin);
      else
        row_block(block, mine, count, to, height, c.end - c.begin, panel);
    }
  });
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
    const int64_t first = rows.starts[0], sums = (1 + tree_depth(rows.count)) * kBlock;
    float* const sum = scratch(sums + kDepth * kTileCols + kTreeRows * place_of<T>(rows, rows.count));
    auto* const panel = reinterpret_cast<Cached<T>*>(sum + sums);
    for (int64_t row = r.begin; row < r.end; row += kTreeRows) {
      const int64_t height = min_of(kTreeRows, r.end - row);
      const CachedRows<T> tiles = pack_columns(a + first * n + row, n, rows, height, panel + kDepth * kTileCols);
      for (int64_t col = cols.begin; col < cols.end; col += kTileCols) {
        const int64_t width = min_of(kTileCols, cols.end - col);
        const auto leaf = [&](int64_t sequence, float* to) {
          CachedRows<T> part = tiles;
          part.a += place_of<T>(rows, sequence) * kTileRows;
          const int64_t begin = rows.starts[sequence];
          row_block(part, Weight<T>{b + begin * k + col, k}, rows.starts[sequence + 1] - begin,
                    Output{.c = to, .c_row = kTileCols}, height, width, panel);
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
Output output(const float* bias, float* y, int64_t n, bool accumulate) {
  Output out{.c = y, .c_row = n};
  if (accumulate) {
    out.start = y;
    out.start_row = n;
  } else if (bias != nullptr) {
    out.start = bias;
  }
  return out;
}

template <class T>
void multiply_packed(const T* x, const Stored<T>* panels, const float* bias, float* y, int64_t m, int64_t n,
                     int64_t k) {
  const int64_t panel = (k + Factor<T>::kSize - 1) / Factor<T>::kSize * kLanes;
  parallel_product(x, Weight<T>{.panels = panels, .panel = panel}, output(bias, y, n, false), m, n, k);
}

}  // namespace

void gemm(const float* x, const float* w, const float* bias, float* y, int64_t m, int64_t n, int64_t k,
          bool accumulate) {
  parallel_product(x, Weight<float>{w, n}, output(bias, y, n, accumulate), m, n, k);
}
void gemm_bf16(const Bf16* x, const Bf16* w, float* y, int64_t m, int64_t n, int64_t k, bool accumulate) {
  parallel_product(x, Weight<Bf16>{w, n}, output(nullptr, y, n, accumulate), m, n, k);
}

void gemm_packed(const float* x, const float* panels, const float* bias, float* y, int64_t m, int64_t n, int64_t k) {
  multiply_packed(x, panels, bias, y, m, n, k);
}
void gemm_packed_bf16(const Bf16* x, const Bf16* panels, const float* bias, float* y, int64_t m, int64_t n, int64_t k) {
  multiply_packed(x, reinterpret_cast<const Pair*>(panels), bias, y, m, n, k);
}

void weight_grad(const float* a, const float* b, float* c, const Sequences& rows, int64_t n, int64_t k) {
  add_weight_grad(a, b, c, rows, n, k);
}
void weight_grad_bf16(const Bf16* a, const Bf16* b, float* c, const Sequences& rows, int64_t n, int64_t k) {
  add_weight_grad(a, b, c, rows, n, k);
}

void pack_weight(const float* w, float* panels, int64_t n, int64_t k) {
  parallel_ranges(n, 8 * k, kLanes, [&](int64_t begin, int64_t end) {
    transpose_blocks(w + begin * k, k, end - begin, k, panels + begin * k);
  });
}
void pack_weight_bf16(const Bf16* w, Bf16* panels, int64_t n, int64_t k) {
  const int64_t width = (k + 1) / 2;
  auto* const pairs = reinterpret_cast<Pair*>(panels);
  if (k % 2 == 0) {
    parallel_ranges(n, 4 * k, kLanes, [&](int64_t begin, int64_t end) {
      transpose_blocks(reinterpret_cast<const Pair*>(w + begin * k), width, end - begin, width, pairs + begin * width);
    });
    return;
  }
  for (int64_t row = 0; row < round_up(n, kLanes); ++row)
    for (int64_t p = 0; p < width; ++p) {
      const auto number = [&](int64_t i) { return row < n && i < k ? w[row * k + i] : Bf16{0}; };
      pairs[block_at(row, width) + p * kLanes] = {number(2 * p), number(2 * p + 1)};
    }
}

void round_to_bf16(const float* x, Bf16* y, int64_t count) {
  parallel_ranges(count, 4, kLanes, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes) {
      const int64_t n = min_of(kLanes, end - i);
      store_first(y + i, load_first(x + i, n), n);
    }
  });
}

void round_rows(float* x, int64_t rows, int64_t cols, int64_t stride) {
  parallel_ranges(rows, 8 * cols, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t col = 0; col < cols; col += kLanes) {
        const int64_t n = min_of(kLanes, cols - col);
        float* const at = x + row * stride + col;
        Bf16 rounded[kLanes];
        store_first(rounded, load_some(at, n), n);
        store_some(at, load_first(rounded, n), n);
      }
  });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
