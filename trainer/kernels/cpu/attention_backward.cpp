// Gradient of causal attention. Probabilities are computed again from the saved log-sum-exp, in blocks of queries by
// keys, so that memory does not grow with the square of the length. Each task handles one segment and key/value head,
// and no other task writes to its outputs.
#include "trainer/kernels/cpu/attention_rows.h"
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/math.h"
#include "trainer/kernels/cpu/tile.h"
#include "trainer/kernels/cpu/transpose.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

constexpr int64_t kQueries = 48, kKeys = 128;  // size of a block

// The work memory of a task, for T tokens of head size C, rows padded to Cp = C rounded up to 16 lanes.
struct Work {
  float *k_blocks, *v_blocks;  // [ceil(T / 16)][C][16]
  float *k, *q, *d_out;        // [T][Cp]
  float *dq, *dk, *dv;         // [T][Cp]
  float* delta;                // [T] sum over c of d_out * out
  float *p, *ds;               // [kQueries][kKeys] probabilities, gradient of the scores times scale
  int64_t row;                 // Cp
};

Work make_work(int64_t tokens, int64_t width) {
  const int64_t row = round_up(width, kLanes), blocks = round_up(tokens, kLanes) * width, rows = tokens * row;
  const int64_t padded = round_up(tokens, kLanes);
  float* at = scratch(2 * blocks + 6 * rows + padded + 2 * kQueries * kKeys);
  const auto take = [&at](int64_t floats) {
    float* mine = at;
    at += floats;
    return mine;
  };
  Work work;
  work.row = row;
  work.k_blocks = take(blocks);
  work.v_blocks = take(blocks);
  work.k = take(rows);
  work.q = take(rows);
  work.d_out = take(rows);
  work.dq = take(rows);
  work.dk = take(rows);
  work.dv = take(rows);
  work.p = take(kQueries * kKeys);
  work.ds = take(kQueries * kKeys);
  work.delta = take(padded);
  return work;
}

void copy_in(const float* from, int64_t stride, int64_t tokens, int64_t width, float* to, int64_t to_row) {
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t c = 0; c < width; c += kLanes)
      store(to + t * to_row + c, load_some(from + t * stride + c, min_of(kLanes, width - c)));
}

void copy_out(const float* from, int64_t from_row, int64_t tokens, int64_t width, float* to, int64_t stride) {
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t c = 0; c < width; c += kLanes)
      store_some(to + t * stride + c, load(from + t * from_row + c), min_of(kLanes, width - c));
}

void clear(float* to, int64_t floats) {
  for (int64_t i = 0; i < floats; i += kLanes) store(to + i, zero());
}

struct Block {
  int64_t query, queries;  // first query of the segment and how many
  int64_t key, keys;       // first key and how many, a multiple of 16 (padding included)
};

// p and ds of a block; both are zero where the key comes after the query.
void scores(const Work& work, const Block& block, int64_t width, float scale, const float* lse, int64_t lse_stride) {
  for (int64_t r = 0; r < block.queries; r += kTileRows) {
    const int64_t rows = min_of(kTileRows, block.queries - r), query = block.query + r;
    const int64_t seen = min_of(block.keys, max_of(0, round_up(query + rows - block.key, kLanes)));
    Product args{.count = width, .a = work.q + query * work.row, .a_row = work.row, .a_step = 1};
    args.b = work.k_blocks + block.key * width;
    args.b_step = kLanes;
    args.b_vector = width * kLanes;
    args.c = work.p + r * kKeys;
    args.c_row = kKeys;
    product(args, rows, seen);
    args.a = work.d_out + query * work.row;
    args.b = work.v_blocks + block.key * width;
    args.c = work.ds + r * kKeys;
    product(args, rows, seen);
    for (int64_t i = 0; i < rows; ++i) {
      float* p = work.p + (r + i) * kKeys;
      float* ds = work.ds + (r + i) * kKeys;
      const int64_t visible = query + i + 1 - block.key;
      const F16 row_lse = splat(lse[(query + i) * lse_stride]), delta = splat(work.delta[query + i]);
      for (int64_t j = 0; j < block.keys; j += kLanes) {
        const int64_t n = max_of(0, min_of(kLanes, visible - j));
        if (n == 0) {
          store(p + j, zero());
          store(ds + j, zero());
          continue;
        }
        const F16 prob = exp(sub(mul(load(p + j), splat(scale)), row_lse));
        const F16 grad = mul(mul(prob, sub(load(ds + j), delta)), splat(scale));
        store(p + j, keep_first(prob, n, zero()));
        store(ds + j, keep_first(grad, n, zero()));
      }
    }
  }
}

// Adds a block's share to dq (rows are queries), dk and dv (rows are keys).
void accumulate(const Work& work, const Block& block, int64_t tokens) {
  const int64_t row = work.row;
  for (int64_t r = 0; r < block.queries; r += kTileRows) {
    const int64_t rows = min_of(kTileRows, block.queries - r), query = block.query + r;
    const int64_t keys = min_of(min_of(block.keys, tokens - block.key), query + rows - block.key);
    if (keys <= 0) continue;
    float* dq = work.dq + query * row;
    product({.count = keys,
             .a = work.ds + r * kKeys,
             .a_row = kKeys,
             .a_step = 1,
             .b = work.k + block.key * row,
             .b_step = row,
             .start = dq,
             .start_row = row,
             .c = dq,
             .c_row = row},
            rows, row);
  }
  const int64_t real_keys = min_of(block.keys, tokens - block.key);
  for (int64_t j = 0; j < real_keys; j += kTileRows) {
    const int64_t keys = min_of(kTileRows, real_keys - j);
    const int64_t skip = max_of(0, block.key + j - block.query);  // queries before the tile's first key
    if (skip >= block.queries) break;
    Product args{
        .count = block.queries - skip, .a_row = 1, .a_step = kKeys, .b_step = row, .start_row = row, .c_row = row};
    args.a = work.p + skip * kKeys + j;
    args.b = work.d_out + (block.query + skip) * row;
    args.start = args.c = work.dv + (block.key + j) * row;
    product(args, keys, row);
    args.a = work.ds + skip * kKeys + j;
    args.b = work.q + (block.query + skip) * row;
    args.start = args.c = work.dk + (block.key + j) * row;
    product(args, keys, row);
  }
}

// delta[t] = sum over c of d_out * out.
void output_dots(const float* d_out, const float* out, int64_t stride, int64_t tokens, int64_t width, float* delta) {
  for (int64_t t = 0; t < tokens; ++t) {
    F16 sum = zero();
    for (int64_t c = 0; c < width; c += kLanes) {
      const int64_t n = min_of(kLanes, width - c);
      sum = fma(load_some(d_out + t * stride + c, n), load_some(out + t * stride + c, n), sum);
    }
    delta[t] = sum_lanes(sum);
  }
}

void segment_head_backward(const AttentionGrad& args, int64_t segment, int64_t kv_head) {
  const Attention& forward = args.forward;
  const int64_t begin = forward.segments[segment], tokens = forward.segments[segment + 1] - begin;
  const int64_t width = forward.head_dim, group = forward.heads / forward.kv_heads;
  const int64_t out_stride = forward.heads * width;
  const Work work = make_work(tokens, width);
  const int64_t kv_at = begin * forward.kv_stride + kv_head * width;
  transpose_blocks(forward.k + kv_at, forward.kv_stride, tokens, width, work.k_blocks);
  transpose_blocks(forward.v + kv_at, forward.kv_stride, tokens, width, work.v_blocks);
  copy_in(forward.k + kv_at, forward.kv_stride, tokens, width, work.k, work.row);
  clear(work.dk, tokens * work.row);
  clear(work.dv, tokens * work.row);
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    const int64_t q_at = begin * forward.q_stride + head * width, out_at = begin * out_stride + head * width;
    copy_in(forward.q + q_at, forward.q_stride, tokens, width, work.q, work.row);
    copy_in(args.d_out + out_at, out_stride, tokens, width, work.d_out, work.row);
    output_dots(args.d_out + out_at, forward.out + out_at, out_stride, tokens, width, work.delta);
    clear(work.dq, tokens * work.row);
    for (int64_t key = 0; key < tokens; key += kKeys)
      for (int64_t query = key / kQueries * kQueries; query < tokens; query += kQueries) {
        const Block block = {.query = query,
                             .queries = min_of(kQueries, tokens - query),
                             .key = key,
                             .keys = min_of(kKeys, round_up(min_of(tokens, query + kQueries) - key, kLanes))};
        scores(work, block, width, forward.scale, forward.lse + begin * forward.heads + head, forward.heads);
        accumulate(work, block, tokens);
      }
    copy_out(work.dq, work.row, tokens, width, args.dq + q_at, forward.q_stride);
  }
  copy_out(work.dk, work.row, tokens, width, args.dk + kv_at, forward.kv_stride);
  copy_out(work.dv, work.row, tokens, width, args.dv + kv_at, forward.kv_stride);
}

}  // namespace

void attention_backward(const AttentionGrad& given) {
  AttentionGrad args = given;
  Attention& forward = args.forward;
  if (forward.q_stride == 0) forward.q_stride = forward.heads * forward.head_dim;
  if (forward.kv_stride == 0) forward.kv_stride = forward.kv_heads * forward.head_dim;
  int64_t work = 0;
  for (int64_t s = 0; s < forward.segment_count; ++s) {
    const int64_t tokens = forward.segments[s + 1] - forward.segments[s];
    work += tokens * tokens * forward.heads * (5 * forward.head_dim + 10);
  }
  parallel_tasks(forward.segment_count * forward.kv_heads, work,
                 [&](int64_t task) { segment_head_backward(args, task / forward.kv_heads, task % forward.kv_heads); });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
