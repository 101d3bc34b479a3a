// Attention of single query tokens over a paged cache of keys and values: the same chains as packed attention, page by
// page. Neighbouring rows whose sequences begin with the same pages read these pages together.
#include "trainer/kernels/cpu/attention_rows.h"
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/math.h"
#include "trainer/kernels/cpu/tile.h"
#include "trainer/kernels/cpu/transpose.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

// Finds the keys and values of one head in a page. T is the type of a number in the cache.
template <class T>
struct HeadOfPage {
  int64_t keys, values;  // offsets

  HeadOfPage(const KvLayout& layout, int64_t kv_head) {
    const int64_t one = layout.page_tokens * layout.head_dim;
    keys = layout.offset + kv_head * one;
    values = layout.offset + (layout.kv_heads + kv_head) * one;
  }
  T* keys_in(void* page) const { return static_cast<T*>(page) + keys; }
  T* values_in(void* page) const { return static_cast<T*>(page) + values; }
};

// Consecutive rows whose sequences begin with the same `shared` tokens, which fill whole pages and to which all of the
// rows attend.
struct RowTile {
  int64_t first, rows, shared;
};

// Returns the tile that begins with row `first` and ends before `end`. A further row joins it as long as the rows
// together save no fewer pages than without it.
RowTile tile_at(const KvRows& from, int64_t first, int64_t end) {
  const int64_t page = from.layout.page_tokens;
  int64_t rows = 1, shared = (from.positions[first] + 1) / page;
  for (; first + rows < end; ++rows) {
    const int64_t row = first + rows, most = min_of(shared, (from.positions[row] + 1) / page);
    int64_t same = 0;
    while (same < most && from.pages[row][same] == from.pages[first][same]) ++same;
    if (same == 0 || rows * same < (rows - 1) * shared) break;
    shared = same;
  }
  return {first, rows, shared * page};
}

// The queries of a tile that read one key/value head: `group` heads of each row.
template <class T>
class TileHead {
 public:
  TileHead(const AttentionDecode& args, const RowTile& tile, int64_t kv_head)
      : args_(args),
        tile_(tile),
        width_(args.from.layout.head_dim),
        group_(args.heads / args.from.layout.kv_heads),
        first_head_(kv_head * group_),
        place_(args.from.layout, kv_head) {
    for (int64_t r = 0; r < tile.rows; ++r) padded_ = max_of(padded_, round_up(tokens(r), kLanes));
    const int64_t queries = tile.rows * group_;
    scores_ = scratch(queries * (padded_ + 2 * width_ + 1));
    q_ = scores_ + queries * padded_;
    sums_ = q_ + queries * width_;
    inverse_ = sums_ + queries * width_;
  }

  void run() {
    for (int64_t r = 0; r < tile_.rows; ++r)
      copy_rows(args_.q + (tile_.first + r) * args_.q_stride + first_head_ * width_, width_, group_, width_,
                q_ + r * group_ * width_, width_);
    take_scores(0, tile_.rows, 0, tile_.shared);
    for (int64_t r = 0; r < tile_.rows; ++r) {
      take_scores(r, 1, tile_.shared, tokens(r));
      take_softmax(r);
    }
    add_values(0, tile_.rows, 0, tile_.shared);
    for (int64_t r = 0; r < tile_.rows; ++r) {
      add_values(r, 1, tile_.shared, tokens(r));
      write(r);
    }
  }

 private:
  int64_t tokens(int64_t row) const { return args_.from.positions[tile_.first + row] + 1; }
  float* scores(int64_t row) const { return scores_ + row * group_ * padded_; }

  // Scores of `rows` rows for the keys of the tokens [begin, end), which are the same for all of them.
  void take_scores(int64_t row, int64_t rows, int64_t begin, int64_t end) const {
    const int64_t page = args_.from.layout.page_tokens;
    ProductOf<float, T> product_args{.count = width_,
                                     .a = q_ + row * group_ * width_,
                                     .a_row = width_,
                                     .a_step = 1,
                                     .b_step = kLanes,
                                     .b_vector = width_ * kLanes,
                                     .c_row = padded_};
    for (int64_t from = begin; from < end; from += page) {
      product_args.b = place_.keys_in(args_.from.pages[tile_.first + row][from / page]);
      product_args.c = scores(row) + from;
      product(product_args, rows * group_, min_of(page, round_up(end, kLanes) - from));
    }
  }

  // Scores of a row become exp(scale * score - max).
  void take_softmax(int64_t row) const {
    for (int64_t head = 0; head < group_; head += kTileRows) {
      SoftmaxRow softmax[kTileRows];
      const int64_t heads = min_of(kTileRows, group_ - head);
      softmax_rows(scores(row) + head * padded_, padded_, heads, tokens(row), 0, args_.scale, softmax);
      for (int64_t h = 0; h < heads; ++h) inverse_[row * group_ + head + h] = 1.0f / softmax[h].sum;
    }
  }

  // Adds the values of the tokens [begin, end), which are the same for all of these rows.
  void add_values(int64_t row, int64_t rows, int64_t begin, int64_t end) const {
    const int64_t page = args_.from.layout.page_tokens;
    float* const sums = sums_ + row * group_ * width_;
    ProductOf<float, T> product_args{.a_row = padded_, .a_step = 1, .b_step = width_, .c = sums, .c_row = width_};
    if (begin > 0) {
      product_args.start = sums;
      product_args.start_row = width_;
    }
    for (int64_t from = begin; from < end; from += page) {
      product_args.count = min_of(page, end - from);
      product_args.a = scores(row) + from;
      product_args.b = place_.values_in(args_.from.pages[tile_.first + row][from / page]);
      product(product_args, rows * group_, width_);
      product_args.start = sums;
      product_args.start_row = width_;
    }
  }

  void write(int64_t row) const {
    float* const out = args_.out + ((tile_.first + row) * args_.heads + first_head_) * width_;
    for (int64_t h = 0; h < group_; ++h) {
      const int64_t query = row * group_ + h;
      const F16 inverse = splat(inverse_[query]);
      for (int64_t c = 0; c < width_; c += kLanes) {
        const int64_t n = min_of(kLanes, width_ - c);
        store_some(out + h * width_ + c, mul(load_some(sums_ + query * width_ + c, n), inverse), n);
      }
    }
  }

  const AttentionDecode& args_;
  const RowTile tile_;
  const int64_t width_, group_, first_head_;
  const HeadOfPage<T> place_;
  int64_t padded_ = 0;  // the most tokens of a row, in whole vectors
  float* scores_;       // [queries][padded]
  float* q_;            // [queries][width]
  float* sums_;         // [queries][width] of the values
  float* inverse_;      // [queries] 1 / sum of the softmax
};

template <class T>
void decode(const AttentionDecode& args, int64_t work) {
  const KvRows& from = args.from;
  const int64_t group = args.heads / from.layout.kv_heads, tasks = from.rows * from.layout.kv_heads;
  // Rows of one task, so that the queries of a head fill a register tile, and no thread goes without.
  const int64_t block = max_of(1, min_of(kTileRows / group, tasks / threads_for(work)));
  const int64_t blocks = ceil_div(from.rows, block);
  // Head by head, so that what rows of different tasks share is still in a cache of the processor.
  parallel_tasks(blocks * from.layout.kv_heads, work, [&](int64_t task) {
    const int64_t begin = task % blocks * block, end = min_of(from.rows, begin + block);
    for (int64_t row = begin; row < end;) {
      const RowTile tile = tile_at(from, row, end);
      TileHead<T>(args, tile, task / blocks).run();
      row += tile.rows;
    }
  });
}

template <class T>
void append(const KvAppend& args, int64_t row) {
  const KvLayout& layout = args.to.layout;
  const int64_t width = layout.head_dim, token = args.to.positions[row] % layout.page_tokens;
  void* const page = args.to.pages[row][args.to.positions[row] / layout.page_tokens];
  for (int64_t head = 0; head < layout.kv_heads; ++head) {
    const HeadOfPage<T> place(layout, head);
    const int64_t at = row * args.kv_stride + head * width;
    T key[kMaxHeadDim];
    T* const value = place.values_in(page) + token * width;
    for (int64_t c = 0; c < width; c += kLanes) {
      const int64_t n = min_of(kLanes, width - c);
      store_first(key + c, load_some(args.k + at + c, n), n);
      store_first(value + c, load_some(args.v + at + c, n), n);
    }
    T* const column = place.keys_in(page) + block_at(token, width);
    for (int64_t c = 0; c < width; ++c) column[c * kLanes] = key[c];
  }
}

}  // namespace

void kv_append(const KvAppend& given) {
  KvAppend args = given;
  const KvLayout& layout = args.to.layout;
  if (args.kv_stride == 0) args.kv_stride = layout.kv_heads * layout.head_dim;
  parallel_ranges(args.to.rows, 4 * layout.kv_heads * layout.head_dim, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) layout.bf16 ? append<Bf16>(args, row) : append<float>(args, row);
  });
}

void attention_decode(const AttentionDecode& given) {
  AttentionDecode args = given;
  const KvLayout& layout = args.from.layout;
  if (args.q_stride == 0) args.q_stride = args.heads * layout.head_dim;
  int64_t work = 0;
  for (int64_t row = 0; row < args.from.rows; ++row)
    work += (args.from.positions[row] + 1) * args.heads * (4 * layout.head_dim + 16);
  layout.bf16 ? decode<Bf16>(args, work) : decode<float>(args, work);
}

}  // namespace terse::trainer::kernels::TERSE_ISA
