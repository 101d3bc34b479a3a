// These functions find the rows of segments, and take the softmax of rows of scores. Packed attention and decoding both
// use them, so they get the same bits.
#pragma once

#include "trainer/kernels/cpu/parallel.h"
#include "trainer/kernels/kernels.h"

namespace terse::trainer::kernels::TERSE_ISA {

static_assert(kKeyBlock == kLanes);

// The rows of a segment and of its prefix, which has none when the segment has no prefix.
struct SegmentRows {
  int64_t begin, tokens;
  int64_t prefix, prefix_tokens;
  int64_t keys() const { return prefix_tokens + tokens; }  // that its last token attends to
};

inline SegmentRows segment_rows(const Attention& args, int64_t segment) {
  SegmentRows rows{args.segments[segment], args.segments[segment + 1] - args.segments[segment], 0, 0};
  const int64_t prefix = args.prefixes == nullptr ? -1 : args.prefixes[segment];
  if (prefix >= 0) {
    rows.prefix = args.segments[prefix];
    rows.prefix_tokens = args.segments[prefix + 1] - rows.prefix;
  }
  return rows;
}

// The pairs of a token and a key that it attends to, times 2.
inline int64_t attended_pairs(const Attention& args) {
  int64_t pairs = 0;
  for (int64_t s = 0; s < args.segment_count; ++s) {
    const SegmentRows rows = segment_rows(args, s);
    pairs += (rows.keys() + rows.prefix_tokens) * rows.tokens;
  }
  return pairs;
}

TERSE_INLINE void copy_rows(const float* from, int64_t from_row, int64_t rows, int64_t width, float* to,
                            int64_t to_row) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < width; c += kLanes) {
      const int64_t n = min_of(kLanes, width - c);
      store_some(to + r * to_row + c, load_some(from + r * from_row + c, n), n);
    }
}

struct SoftmaxRow {
  float max;  // of the scaled scores
  float sum;  // of exp(scaled score - max)
};

// Works in place on at most kTileRows rows. Row r has keys + r * more keys and becomes exp(scale * score - max), not
// divided by its sum. Lanes up to a multiple of 16 become zero, whatever they held.
void softmax_rows(float* scores, int64_t stride, int64_t rows, int64_t keys, int64_t more, float scale,
                  SoftmaxRow* results);

}  // namespace terse::trainer::kernels::TERSE_ISA
