// Causal attention over packed segments. A tile of queries shares each key and value that it loads; each query keeps
// its own chains.
#include "trainer/kernels/cpu/attention_rows.h"
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/math.h"
#include "trainer/kernels/cpu/tile.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {

SoftmaxRow softmax_row(float* scores, int64_t keys, float scale) {
  const F16 minus_inf = splat(-__builtin_inff()), scales = splat(scale);
  F16 top = minus_inf;
  for (int64_t j = 0; j < keys; j += kLanes) {
    F16 s = mul(load(scores + j), scales);
    if (keys - j < kLanes) s = keep_first(s, keys - j, minus_inf);
    store(scores + j, s);
    top = max(top, s);
  }
  const float highest = max_lanes(top);
  F16 sum = zero();
  for (int64_t j = 0; j < keys; j += kLanes) {
    F16 p = exp(sub(load(scores + j), splat(highest)));
    if (keys - j < kLanes) p = keep_first(p, keys - j, zero());
    store(scores + j, p);
    sum = add(sum, p);
  }
  return {highest, sum_lanes(sum)};
}

void transpose_blocks(const float* rows, int64_t row_stride, int64_t tokens, int64_t head_width, float* blocks) {
  for (int64_t t = 0; t < tokens; ++t) {
    float* column = blocks + key_at(t, head_width);
    for (int64_t c = 0; c < head_width; ++c) column[c * kLanes] = rows[t * row_stride + c];
  }
  for (int64_t t = tokens; t < round_up(tokens, kLanes); ++t) {
    float* column = blocks + key_at(t, head_width);
    for (int64_t c = 0; c < head_width; ++c) column[c * kLanes] = 0.0f;
  }
}

namespace {

// One query tile: rows `first`, first + 1, ... of the segment that starts at row `start`, for one head.
struct QueryTile {
  const float* q;     // the tile's first query
  const float* keys;  // transposed blocks of the segment
  const float* v;     // the segment's first value
  float* scores;      // [kTileRows][score_stride]
  int64_t score_stride;
  float* out;
  float* lse;  // may be null
};

void query_tile(const Attention& args, const QueryTile& tile, int64_t first, int64_t rows) {
  const int64_t width = args.head_width, out_stride = args.heads * width;
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
  float inverse[kTileRows];
  for (int64_t r = 0; r < rows; ++r) {
    const SoftmaxRow row = softmax_row(tile.scores + r * tile.score_stride, first + r + 1, args.scale);
    inverse[r] = 1.0f / row.sum;
    if (tile.lse != nullptr) tile.lse[r * args.heads] = row.max + log(row.sum);
  }
  // The keys that all queries of the tile see, then what each sees beyond them: a zero probability is not multiplied
  // with a later value, which might not be finite.
  Product values{.count = first + 1,
                 .a = tile.scores,
                 .a_row = tile.score_stride,
                 .a_step = 1,
                 .b = tile.v,
                 .b_step = args.kv_stride,
                 .c = tile.out,
                 .c_row = out_stride};
  product(values, rows, width);
  for (int64_t r = 0; r < rows; ++r) {
    float* out = tile.out + r * out_stride;
    if (r > 0) {
      values.count = r;
      values.a = tile.scores + r * tile.score_stride + first + 1;
      values.b = tile.v + (first + 1) * args.kv_stride;
      values.start = values.c = out;
      product(values, 1, width);
    }
    for (int64_t c = 0; c < width; c += kLanes) {
      const int64_t n = min_of(kLanes, width - c);
      store_some(out + c, mul(load_some(out + c, n), splat(inverse[r])), n);
    }
  }
}

// All queries that read one key/value head in one segment.
void segment_head(const Attention& args, int64_t segment, int64_t kv_head) {
  const int64_t begin = args.segments[segment], tokens = args.segments[segment + 1] - begin;
  const int64_t width = args.head_width, group = args.heads / args.kv_heads;
  const int64_t padded = round_up(tokens, kLanes);
  float* keys = scratch(padded * width + kTileRows * padded);
  float* scores = keys + padded * width;
  const int64_t kv_at = begin * args.kv_stride + kv_head * width;
  transpose_blocks(args.k + kv_at, args.kv_stride, tokens, width, keys);
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
    for (int64_t first = 0; first < tokens; first += kTileRows) {
      const int64_t row = begin + first;
      query_tile(args,
                 {.q = args.q + row * args.q_stride + head * width,
                  .keys = keys,
                  .v = args.v + kv_at,
                  .scores = scores,
                  .score_stride = padded,
                  .out = args.out + (row * args.heads + head) * width,
                  .lse = args.lse != nullptr ? args.lse + row * args.heads + head : nullptr},
                 first, min_of(kTileRows, tokens - first));
    }
}

}  // namespace

void attention(const Attention& given) {
  Attention args = given;
  if (args.q_stride == 0) args.q_stride = args.heads * args.head_width;
  if (args.kv_stride == 0) args.kv_stride = args.kv_heads * args.head_width;
  int64_t work = 0;
  for (int64_t s = 0; s < args.segment_count; ++s) {
    const int64_t tokens = args.segments[s + 1] - args.segments[s];
    work += tokens * tokens * args.heads * (2 * args.head_width + 8);
  }
  parallel_tasks(args.segment_count * args.kv_heads, work,
                 [&](int64_t task) { segment_head(args, task / args.kv_heads, task % args.kv_heads); });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
