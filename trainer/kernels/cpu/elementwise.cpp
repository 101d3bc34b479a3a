// Kernels that treat elements or columns one by one: SwiGLU, RoPE, embedding, sums, exp and log.
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/math.h"
#include "trainer/kernels/cpu/parallel.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

// body(begin of 16 lanes, lanes) over 0..count.
template <class Body>
TERSE_INLINE void for_lanes(int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, count - i);
}

TERSE_INLINE F16 sigmoid(F16 x) {
  return div(splat(1.0f), add(splat(1.0f), exp(sub(zero(), x))));
}

constexpr int64_t kExpCost = 8;  // floating-point operations that one element of exp takes the time of

}  // namespace

void swiglu(const float* gate_up, float* h, int64_t rows, int64_t ffn_width) {
  parallel_ranges(rows, ffn_width * kExpCost, 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* gate = gate_up + row * 2 * ffn_width;
      const float* up = gate + ffn_width;
      float* out = h + row * ffn_width;
      for_lanes(ffn_width, [=](int64_t i, int64_t n) {
        const F16 g = load_some(gate + i, n);
        store_some(out + i, mul(mul(g, sigmoid(g)), load_some(up + i, n)), n);
      });
    }
  });
}

void swiglu_backward(const float* gate_up, const float* dh, float* d_gate_up, int64_t rows, int64_t ffn_width) {
  parallel_ranges(rows, 2 * ffn_width * kExpCost, 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* gate = gate_up + row * 2 * ffn_width;
      const float* up = gate + ffn_width;
      const float* grad = dh + row * ffn_width;
      float* d_gate = d_gate_up + row * 2 * ffn_width;
      float* d_up = d_gate + ffn_width;
      for_lanes(ffn_width, [=](int64_t i, int64_t n) {
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
  const int64_t width = args.head_width, half_width = width / 2;
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

void embedding_backward(const float* dy, const int64_t* tokens, float* dtable, int64_t rows, int64_t width) {
  parallel_ranges(width, rows, kLanes, [=](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < rows; ++row) {
      const float* from = dy + row * width + begin;
      float* to = dtable + tokens[row] * width + begin;
      for_lanes(end - begin, [=](int64_t i, int64_t n) {
        store_some(to + i, add(load_some(to + i, n), load_some(from + i, n)), n);
      });
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

void column_sum(const float* x, float* sums, int64_t rows, int64_t cols) {
  parallel_ranges(cols, rows, kLanes, [=](int64_t begin, int64_t end) {
    for_lanes(end - begin, [=](int64_t i, int64_t n) {
      F16 sum = load_some(sums + begin + i, n);
      for (int64_t row = 0; row < rows; ++row) sum = add(sum, load_some(x + row * cols + begin + i, n));
      store_some(sums + begin + i, sum, n);
    });
  });
}

void exp(const float* x, float* y, int64_t count) {
  parallel_ranges(count, kExpCost, kLanes, [=](int64_t begin, int64_t end) {
    for_lanes(end - begin,
              [=](int64_t i, int64_t n) { store_some(y + begin + i, exp(load_some(x + begin + i, n)), n); });
  });
}

void log(const float* x, float* y, int64_t count) {
  parallel_ranges(count, 2 * kExpCost, kLanes, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = log(x[i]);
  });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
