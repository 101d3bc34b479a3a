// Kernels that treat elements or columns one by one: SwiGLU, RoPE, embedding and sums.
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/math.h"
#include "trainer/kernels/cpu/parallel.h"
#include "trainer/kernels/cpu/tree.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

// Calls body(first, lanes) for every 16 elements of [0, count). The last call may have fewer lanes.
template <class Body>
TERSE_INLINE void for_lanes(int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, count - i);
}

TERSE_INLINE F16 sigmoid(F16 x) {
  return div(splat(1.0f), add(splat(1.0f), exp(sub(zero(), x))));
}

// The sum of the gradients of one token's rows, by_token[first, last), over the sequences [begin, end).
struct OneToken {
  const float* dy;
  const int64_t* by_token;
  Sequences rows;
  int64_t width, count;  // floats of a row, and of the sum

  void sum(int64_t begin, int64_t end, int64_t first, int64_t last, float* out, float* spare) const {
    while (end - begin > 1) {
      const int64_t middle = begin + tree_half(end - begin);
      int64_t cut = first;  // the first of the token's rows on the right
      while (cut < last && by_token[cut] < rows.starts[middle]) ++cut;
      if (cut == last) {
        end = middle;
      } else if (cut == first) {
        begin = middle;
      } else {
        sum(begin, middle, first, cut, out, spare);
        sum(middle, end, cut, last, spare, spare + count);
        return add_into(out, spare, count);
      }
    }
    for_lanes(count, [=, this](int64_t i, int64_t n) {
      F16 chain = zero();
      for (int64_t at = first; at < last; ++at) chain = add(chain, load_some(dy + by_token[at] * width + i, n));
      store_some(out + i, chain, n);
    });
  }
};

constexpr int64_t kExpCost = 8;  // time of one exp, in floating-point operations

}  // namespace

void swiglu(const float* gate_up, float* h, int64_t rows, int64_t intermediate_size) {
  parallel_ranges(rows, intermediate_size * kExpCost, 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* gate = gate_up + row * 2 * intermediate_size;
      const float* up = gate + intermediate_size;
      float* out = h + row * intermediate_size;
      for_lanes(intermediate_size, [=](int64_t i, int64_t n) {
        const F16 g = load_some(gate + i, n);
        store_some(out + i, mul(mul(g, sigmoid(g)), load_some(up + i, n)), n);
      });
    }
  });
}

void swiglu_backward(const float* gate_up, const float* dh, float* d_gate_up, int64_t rows, int64_t intermediate_size) {
  parallel_ranges(rows, 2 * intermediate_size * kExpCost, 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* gate = gate_up + row * 2 * intermediate_size;
      const float* up = gate + intermediate_size;
      const float* grad = dh + row * intermediate_size;
      float* d_gate = d_gate_up + row * 2 * intermediate_size;
      float* d_up = d_gate + intermediate_size;
      for_lanes(intermediate_size, [=](int64_t i, int64_t n) {
        const F16 g = load_some(gate + i, n), u = load_some(up + i, n), d = load_some(grad + i, n);
        const F16 s = sigmoid(g);
        const F16 silu = mul(g, s);
        // silu' = s + g s (1 - s) = s + silu (1 - s)
        const F16 slope = fma(silu, sub(splat(1.0f), s), s);
        store_some(d_gate + i, mul(mul(d, u), slope), n);
        store_some(d_up + i, mul(d, silu), n);
      });
    }
  });
}

void rope(const Rope& args) {
  const int64_t width = args.head_dim, half_width = width / 2;
  const int64_t stride = args.row_stride != 0 ? args.row_stride : args.heads * width;
  parallel_ranges(args.rows, 4 * args.heads * width, 1, [&, half_width, width, stride](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* cosines = args.table + args.positions[row] * width;
      const float* sines = cosines + half_width;
      for (int64_t head = 0; head < args.heads; ++head) {
        float* first = args.x + row * stride + head * width;
        float* second = first + half_width;
        for_lanes(half_width, [=, &args](int64_t i, int64_t n) {
          const F16 c = load_some(cosines + i, n);
          const F16 s = args.inverse ? sub(zero(), load_some(sines + i, n)) : load_some(sines + i, n);
          const F16 a = load_some(first + i, n), b = load_some(second + i, n);
          store_some(first + i, fnma(b, s, mul(a, c)), n);
          store_some(second + i, fma(a, s, mul(b, c)), n);
        });
      }
    }
  });
}

void embedding(const float* table, const int64_t* tokens, float* y, int64_t rows, int64_t width) {
  parallel_ranges(rows, width, 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* from = table + tokens[row] * width;
      float* to = y + row * width;
      for_lanes(width, [=](int64_t i, int64_t n) { store_some(to + i, load_some(from + i, n), n); });
    }
  });
}

void embedding_backward(const float* dy, const int64_t* tokens, const int64_t* by_token, float* dtable,
                        const Sequences& rows, int64_t width) {
  const int64_t count = rows.count > 0 ? rows.rows() : 0;
  parallel_ranges(width, 2 * count, kLanes, [=](int64_t begin, int64_t end) {
    float* sum = scratch((1 + tree_depth(rows.count)) * (end - begin));
    for (int64_t first = 0, last = 0; first < count; first = last) {
      const int64_t token = tokens[by_token[first]];
      while (last < count && tokens[by_token[last]] == token) ++last;
      const OneToken one = {dy + begin, by_token, rows, width, end - begin};
      one.sum(0, rows.count, first, last, sum, sum + one.count);
      add_into(dtable + token * width + begin, sum, one.count);
    }
  });
}

void add(const float* a, const float* b, float* y, int64_t count) {
  parallel_ranges(count, 1, kLanes, [=](int64_t begin, int64_t end) {
    for_lanes(end - begin, [=](int64_t i, int64_t n) {
      store_some(y + begin + i, add(load_some(a + begin + i, n), load_some(b + begin + i, n)), n);
    });
  });
}

void column_sum(const float* x, float* sums, const Sequences& rows, int64_t cols) {
  if (rows.count == 0 || rows.rows() == 0) return;
  parallel_ranges(cols, rows.rows(), kLanes, [=](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    float* sum = scratch((1 + tree_depth(rows.count)) * count);
    tree_sum(rows, 0, rows.count, sum, sum + count, count, [=](int64_t sequence, float* to) {
      for_lanes(count, [=](int64_t i, int64_t n) {
        F16 chain = zero();
        for (int64_t row = rows.starts[sequence]; row < rows.starts[sequence + 1]; ++row)
          chain = add(chain, load_some(x + row * cols + begin + i, n));
        store_some(to + i, chain, n);
      });
    });
    add_into(sums + begin, sum, count);
  });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
