// Attention of single query tokens over a paged cache of keys and values: the same chains as packed attention, page by
// page.
#include "trainer/kernels/cpu/attention_rows.h"
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/math.h"
#include "trainer/kernels/cpu/tile.h"
#include "trainer/kernels/cpu/transpose.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

// Offsets of one key/value head inside a page, in floats.
struct PagePlaces {
  int64_t keys, values;
};
PagePlaces places(const KvLayout& layout, int64_t kv_head) {
  const int64_t one = layout.page_tokens * layout.head_dim;
  return {layout.offset + kv_head * one, layout.offset + (layout.kv_heads + kv_head) * one};
}

// All query heads of one row that read one key/value head.
void row_head(const AttentionDecode& args, int64_t row, int64_t kv_head) {
  const KvLayout& layout = args.from.layout;
  const int64_t width = layout.head_dim, group = args.heads / layout.kv_heads;
  const int64_t tokens = args.from.positions[row] + 1, padded = round_up(tokens, kLanes);
  const PagePlaces at = places(layout, kv_head);
  float* const* pages = args.from.pages[row];
  float* scores = scratch(kTileRows * padded);
  for (int64_t first = 0; first < group; first += kTileRows) {
    const int64_t rows = min_of(kTileRows, group - first);
    const int64_t head = kv_head * group + first;
    float* out = args.out + (row * args.heads + head) * width;
    Product product_args{.count = width,
                         .a = args.q + row * args.q_stride + head * width,
                         .a_row = width,
                         .a_step = 1,
                         .b_step = kLanes,
                         .b_vector = width * kLanes,
                         .c_row = padded};
    for (int64_t from = 0; from < tokens; from += layout.page_tokens) {
      product_args.b = pages[from / layout.page_tokens] + at.keys;
      product_args.c = scores + from;
      product(product_args, rows, min_of(layout.page_tokens, padded - from));
    }
    SoftmaxRow softmax[kTileRows];
    softmax_rows(scores, padded, rows, tokens, 0, args.scale, softmax);
    product_args = {.a_row = padded, .a_step = 1, .b_step = width, .c = out, .c_row = width};
    for (int64_t from = 0; from < tokens; from += layout.page_tokens) {
      product_args.count = min_of(layout.page_tokens, tokens - from);
      product_args.a = scores + from;
      product_args.b = pages[from / layout.page_tokens] + at.values;
      product(product_args, rows, width);
      product_args.start = out;
      product_args.start_row = width;
    }
    for (int64_t r = 0; r < rows; ++r) {
      const F16 inverse = splat(1.0f / softmax[r].sum);
      for (int64_t c = 0; c < width; c += kLanes) {
        const int64_t n = min_of(kLanes, width - c);
        float* to = out + r * width + c;
        store_some(to, mul(load_some(to, n), inverse), n);
      }
    }
  }
}

}  // namespace

void kv_append(const KvAppend& args) {
  const KvLayout& layout = args.to.layout;
  const int64_t width = layout.head_dim;
  const int64_t stride = args.kv_stride != 0 ? args.kv_stride : layout.kv_heads * width;
  parallel_ranges(args.to.rows, 4 * layout.kv_heads * width, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* page = args.to.pages[row][args.to.positions[row] / layout.page_tokens];
      const int64_t token = args.to.positions[row] % layout.page_tokens;
      for (int64_t head = 0; head < layout.kv_heads; ++head) {
        const PagePlaces at = places(layout, head);
        const float* k = args.k + row * stride + head * width;
        const float* v = args.v + row * stride + head * width;
        float* key = page + at.keys + block_at(token, width);
        float* value = page + at.values + token * width;
        for (int64_t c = 0; c < width; ++c) key[c * kLanes] = k[c];
        for (int64_t c = 0; c < width; ++c) value[c] = v[c];
      }
    }
  });
}

void attention_decode(const AttentionDecode& given) {
  AttentionDecode args = given;
  const KvLayout& layout = args.from.layout;
  if (args.q_stride == 0) args.q_stride = args.heads * layout.head_dim;
  int64_t work = 0;
  for (int64_t row = 0; row < args.from.rows; ++row)
    work += (args.from.positions[row] + 1) * args.heads * (4 * layout.head_dim + 16);
  // Head by head, so that rows which share pages (the responses to one prompt) follow one another and find the keys and
  // values of their common beginning in a cache of the processor.
  parallel_tasks(args.from.rows * layout.kv_heads, work,
                 [&](int64_t task) { row_head(args, task % args.from.rows, task / args.from.rows); });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
