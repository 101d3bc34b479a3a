// Gradient of causal attention. Probabilities are computed again from the saved log-sum-exp, in blocks of queries by
// keys, so that memory does not grow with the square of the length. Each task handles one key/value head of a segment
// and of the segments that share it as their prefix. No other task writes to its outputs.
#include "trainer/kernels/cpu/attention_rows.h"
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/math.h"
#include "trainer/kernels/cpu/tile.h"
#include "trainer/kernels/cpu/transpose.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

constexpr int64_t kQueries = 48, kKeys = 128;  // size of a block

// The work memory of a task, for segments of at most T tokens and K keys (those of the prefix included). Rows of head
// size C are padded to Cp = C rounded up to 16 lanes.
struct Work {
  float *k_blocks, *v_blocks;  // [ceil(K / 16)][C][16]
  float *k, *v, *dk, *dv;      // [K][Cp]
  float *q, *d_out, *dq;       // [T][Cp]
  float* delta;                // [T] sum over c of d_out * out
  float *p, *ds;               // [kQueries][kKeys] probabilities, gradient of the scores times scale
  int64_t row;                 // Cp
};

Work make_work(int64_t tokens, int64_t keys, int64_t width) {
  const int64_t row = round_up(width, kLanes), blocks = round_up(keys, kLanes) * width;
  const int64_t padded = round_up(tokens, kLanes);
  float* at = scratch(2 * blocks + (4 * keys + 3 * tokens) * row + padded + 2 * kQueries * kKeys);
  const auto take = [&at](int64_t floats) {
    float* mine = at;
    at += floats;
    return mine;
  };
  Work work;
  work.row = row;
  work.k_blocks = take(blocks);
  work.v_blocks = take(blocks);
  work.k = take(keys * row);
  work.v = take(keys * row);
  work.dk = take(keys * row);
  work.dv = take(keys * row);
  work.q = take(tokens * row);
  work.d_out = take(tokens * row);
  work.dq = take(tokens * row);
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

void clear(float* to, int64_t floats) {
  for (int64_t i = 0; i < floats; i += kLanes) store(to + i, zero());
}

struct Block {
  int64_t query, queries;  // first query of the segment and how many
  int64_t key, keys;       // first key and how many, a multiple of 16 (padding included)
  int64_t prefix;          // keys before the segment; query i is at place prefix + i among the keys
};

// p and ds of a block; both are zero where the key comes after the query.
void scores(const Work& work, const Block& block, int64_t width, float scale, const float* lse, int64_t lse_stride) {
  for (int64_t r = 0; r < block.queries; r += kTileRows) {
    const int64_t rows = min_of(kTileRows, block.queries - r), query = block.query + r;
    const int64_t seen = min_of(block.keys, max_of(0, round_up(block.prefix + query + rows - block.key, kLanes)));
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
      const int64_t visible = block.prefix + query + i + 1 - block.key;
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
void accumulate(const Work& work, const Block& block, int64_t all_keys) {
  const int64_t row = work.row;
  for (int64_t r = 0; r < block.queries; r += kTileRows) {
    const int64_t rows = min_of(kTileRows, block.queries - r), query = block.query + r;
    const int64_t keys = min_of(min_of(block.keys, all_keys - block.key), block.prefix + query + rows - block.key);
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
  const int64_t real_keys = min_of(block.keys, all_keys - block.key);
  for (int64_t j = 0; j < real_keys; j += kTileRows) {
    const int64_t keys = min_of(kTileRows, real_keys - j);
    // Queries before the tile's first key.
    const int64_t skip = max_of(0, block.key + j - block.prefix - block.query);
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

// Computes dq of one segment, writes it, and adds to dk and dv of the segment and of its prefix, whose keys and values
// are in `work` already.
void segment_backward(const AttentionGrad& args, const Work& work, const SegmentRows& rows, int64_t kv_head) {
  const Attention& forward = args.forward;
  const int64_t width = forward.head_dim, group = forward.heads / forward.kv_heads, row = work.row;
  const int64_t out_stride = forward.heads * width, prefix = rows.prefix_tokens, keys = rows.keys();
  const int64_t kv_at = rows.begin * forward.kv_stride + kv_head * width;
  copy_in(forward.k + kv_at, forward.kv_stride, rows.tokens, width, work.k + prefix * row, row);
  copy_in(forward.v + kv_at, forward.kv_stride, rows.tokens, width, work.v + prefix * row, row);
  const int64_t known = prefix / kLanes * kLanes;  // keys whose blocks the prefix has filled
  transpose_blocks(work.k + known * row, row, keys - known, width, work.k_blocks + known * width);
  transpose_blocks(work.v + known * row, row, keys - known, width, work.v_blocks + known * width);
  clear(work.dk + prefix * row, rows.tokens * row);
  clear(work.dv + prefix * row, rows.tokens * row);
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    const int64_t q_at = rows.begin * forward.q_stride + head * width, out_at = rows.begin * out_stride + head * width;
    copy_in(forward.q + q_at, forward.q_stride, rows.tokens, width, work.q, row);
    copy_in(args.d_out + out_at, out_stride, rows.tokens, width, work.d_out, row);
    output_dots(args.d_out + out_at, forward.out + out_at, out_stride, rows.tokens, width, work.delta);
    clear(work.dq, rows.tokens * row);
    for (int64_t key = 0; key < keys; key += kKeys) {
      const int64_t first = max_of(0, key - prefix) / kQueries * kQueries;
      for (int64_t query = first; query < rows.tokens; query += kQueries) {
        const int64_t seen = min_of(keys, prefix + query + kQueries) - key;
        const Block block = {.query = query,
                             .queries = min_of(kQueries, rows.tokens - query),
                             .key = key,
                             .keys = min_of(kKeys, round_up(seen, kLanes)),
                             .prefix = prefix};
        scores(work, block, width, forward.scale, forward.lse + rows.begin * forward.heads + head, forward.heads);
        accumulate(work, block, keys);
      }
    }
    copy_rows(work.dq, row, rows.tokens, width, args.dq + q_at, forward.q_stride);
  }
}

// Writes dk and dv of the segment `rows`, which are at `place` in `work`.
void write_keys(const AttentionGrad& args, const Work& work, const SegmentRows& rows, int64_t place, int64_t kv_head) {
  const Attention& forward = args.forward;
  const int64_t at = rows.begin * forward.kv_stride + kv_head * forward.head_dim;
  copy_rows(work.dk + place * work.row, work.row, rows.tokens, forward.head_dim, args.dk + at, forward.kv_stride);
  copy_rows(work.dv + place * work.row, work.row, rows.tokens, forward.head_dim, args.dv + at, forward.kv_stride);
}

// A segment without a prefix, then the segments that share it.
void family_backward(const AttentionGrad& args, int64_t first, int64_t kv_head) {
  const Attention& forward = args.forward;
  const SegmentRows shared = segment_rows(forward, first);
  int64_t end = first + 1, longest = 0;
  for (; end < forward.segment_count && forward.prefixes != nullptr && forward.prefixes[end] == first; ++end)
    longest = max_of(longest, segment_rows(forward, end).tokens);
  const Work work = make_work(max_of(shared.tokens, longest), shared.tokens + longest, forward.head_dim);
  segment_backward(args, work, shared, kv_head);
  for (int64_t segment = first + 1; segment < end; ++segment) {
    const SegmentRows rows = segment_rows(forward, segment);
    segment_backward(args, work, rows, kv_head);
    write_keys(args, work, rows, shared.tokens, kv_head);
  }
  write_keys(args, work, shared, 0, kv_head);
}

}  // namespace

void attention_backward(const AttentionGrad& given) {
  AttentionGrad args = given;
  Attention& forward = args.forward;
  if (forward.q_stride == 0) forward.q_stride = forward.heads * forward.head_dim;
  if (forward.kv_stride == 0) forward.kv_stride = forward.kv_heads * forward.head_dim;
  parallel_tasks(forward.segment_count * forward.kv_heads,
                 attended_pairs(forward) * forward.heads * (5 * forward.head_dim + 10), [&](int64_t task) {
                   const int64_t segment = task / forward.kv_heads;
                   if (forward.prefixes != nullptr && forward.prefixes[segment] >= 0) return;  // with its prefix
                   family_backward(args, segment, task % forward.kv_heads);
                 });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
