// Causal attention over packed segments. A tile of queries shares each key and value that it loads; each query keeps
// its own chains.
#include "trainer/kernels/cpu/attention_rows.h"
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/math.h"
#include "trainer/kernels/cpu/tile.h"
#include "trainer/kernels/cpu/transpose.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {

// All rows take the first pass before any row takes the second, so that the reductions at the ends of the rows overlap.
void softmax_rows(float* scores, int64_t stride, int64_t rows, int64_t keys, int64_t more, float scale,
                  SoftmaxRow* results) {
  const F16 minus_inf = splat(-__builtin_inff()), scales = splat(scale);
  for (int64_t r = 0; r < rows; ++r) {
    float* row = scores + r * stride;
    const int64_t n = keys + r * more, whole = n / kLanes * kLanes;
    F16 top = minus_inf;
    for (int64_t j = 0; j < whole; j += kLanes) {
      const F16 s = mul(load(row + j), scales);
      store(row + j, s);
      top = max(top, s);
    }
    if (whole < n) {
      const F16 s = keep_first(mul(load(row + whole), scales), n - whole, minus_inf);
      store(row + whole, s);
      top = max(top, s);
    }
    results[r].max = max_lanes(top);
  }
  for (int64_t r = 0; r < rows; ++r) {
    float* row = scores + r * stride;
    const F16 highest = splat(results[r].max);
    F16 sum = zero();
    for (int64_t j = 0; j < keys + r * more; j += kLanes) {
      const F16 p = exp(sub(load(row + j), highest));  // exp(-inf) = 0 past the end
      store(row + j, p);
      sum = add(sum, p);
    }
    results[r].sum = sum_lanes(sum);
  }
}

namespace {

// A tile of consecutive queries of a segment, for one head.
struct QueryTile {
  const float* q;     // the tile's first query
  const float* keys;  // transposed blocks of the prefix and the segment
  const float* v;     // the first value of the prefix and the segment
  int64_t v_stride;
  float* scores;  // [kTileRows][score_stride]
  int64_t score_stride;
  float* out;
  float* lse;  // may be null
};

// `first` is the place of the tile's first query among the keys.
void query_tile(const Attention& args, const QueryTile& tile, int64_t first, int64_t rows) {
  const int64_t width = args.head_dim;
  product({.count = width,
           .a = tile.q,
           .a_row = args.q_stride,
           .a_step = 1,
           .b = tile.keys,
           .b_step = kLanes,
           .b_vector = width * kLanes,
           .c = tile.scores,
           .c_row = tile.score_stride},
          rows, round_up(first + rows, kLanes));
  SoftmaxRow softmax[kTileRows];
  softmax_rows(tile.scores, tile.score_stride, rows, first + 1, 1, args.scale, softmax);
  float inverse[kTileRows];
  for (int64_t r = 0; r < rows; ++r) inverse[r] = 1.0f / softmax[r].sum;
  if (tile.lse != nullptr) {
    for (int64_t r = 0; r < rows; ++r) tile.lse[r * args.heads] = softmax[r].max + log(softmax[r].sum);
  }
  causal_product({.count = first + 1,
                  .a = tile.scores,
                  .a_row = tile.score_stride,
                  .a_step = 1,
                  .b = tile.v,
                  .b_step = tile.v_stride,
                  .c = tile.out,
                  .c_row = args.heads * width},
                 inverse, rows, width);
}

// Puts the rows of a head in the prefix and in the segment one after the other: to[keys][width].
void join(const float* from, int64_t stride, const SegmentRows& rows, int64_t width, float* to) {
  copy_rows(from + rows.prefix * stride, stride, rows.prefix_tokens, width, to, width);
  copy_rows(from + rows.begin * stride, stride, rows.tokens, width, to + rows.prefix_tokens * width, width);
}

// All queries that read one key/value head in one segment.
void segment_head(const Attention& args, int64_t segment, int64_t kv_head) {
  const SegmentRows rows = segment_rows(args, segment);
  const int64_t width = args.head_dim, group = args.heads / args.kv_heads;
  const int64_t padded = round_up(rows.keys(), kLanes);
  const int64_t copies = rows.prefix_tokens > 0 ? 2 : 0;  // of keys and of values
  float* blocks = scratch(((1 + copies) * width + kTileRows) * padded);
  float* scores = blocks + padded * width;
  const float *k = args.k + kv_head * width, *v = args.v + kv_head * width;
  int64_t stride = args.kv_stride;
  if (copies > 0) {
    float *keys = scores + kTileRows * padded, *values = keys + padded * width;
    join(k, stride, rows, width, keys);
    join(v, stride, rows, width, values);
    k = keys;
    v = values;
    stride = width;
  } else {
    k += rows.begin * stride;
    v += rows.begin * stride;
  }
  transpose_blocks(k, stride, rows.keys(), width, blocks);
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
    for (int64_t first = 0; first < rows.tokens; first += kTileRows) {
      const int64_t row = rows.begin + first;
      query_tile(args,
                 {.q = args.q + row * args.q_stride + head * width,
                  .keys = blocks,
                  .v = v,
                  .v_stride = stride,
                  .scores = scores,
                  .score_stride = padded,
                  .out = args.out + (row * args.heads + head) * width,
                  .lse = args.lse != nullptr ? args.lse + row * args.heads + head : nullptr},
                 rows.prefix_tokens + first, min_of(kTileRows, rows.tokens - first));
    }
}

}  // namespace

void attention(const Attention& given) {
  Attention args = given;
  if (args.q_stride == 0) args.q_stride = args.heads * args.head_dim;
  if (args.kv_stride == 0) args.kv_stride = args.kv_heads * args.head_dim;
  parallel_tasks(args.segment_count * args.kv_heads, attended_pairs(args) * args.heads * (2 * args.head_dim + 8),
                 [&](int64_t task) { segment_head(args, task / args.kv_heads, task % args.kv_heads); });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
