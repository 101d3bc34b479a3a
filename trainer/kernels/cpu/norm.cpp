// RMSNorm and its gradient. The weight gradient is summed over rows as Sequences defines.
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/parallel.h"
#include "trainer/kernels/cpu/tree.h"
#include "trainer/kernels/scratch.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

// Sums the products of two vectors. factors(i, n, sum) adds the products of the n <= 16 elements from i on to `sum`.
// There are four running sums of 16 lanes: vector j goes into sum j mod 4, then a fixed tree adds all lanes.
template <class Factors>
TERSE_INLINE float dot(int64_t width, const Factors& factors) {
  F16 sums[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= width; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] = factors(i + j * kLanes, kLanes, sums[j]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j, i += kLanes)
    if (i < width) sums[j] = factors(i, min_of(kLanes, width - i), sums[j]);
  return sum_lanes(add(add(sums[0], sums[1]), add(sums[2], sums[3])));
}

float norm_vector(const float* x, const float* weight, float eps, float* y, int64_t width) {
  const float squares = dot(width, [=](int64_t i, int64_t n, F16 sum) {
    const F16 v = load_some(x + i, n);
    return fma(v, v, sum);
  });
  const float rstd = 1.0f / __builtin_sqrtf(squares / static_cast<float>(width) + eps);
  for (int64_t i = 0; i < width; i += kLanes) {
    const int64_t n = min_of(kLanes, width - i);
    store_some(y + i, mul(mul(load_some(x + i, n), splat(rstd)), load_some(weight + i, n)), n);
  }
  return rstd;
}

// dx = rstd (g - x rstd^2 mean(g x)) with g = dy weight.
void norm_vector_backward(const float* dy, const float* x, const float* weight, float rstd, float* dx, int64_t width) {
  const float gx = dot(width, [=](int64_t i, int64_t n, F16 sum) {
    return fma(mul(load_some(dy + i, n), load_some(weight + i, n)), load_some(x + i, n), sum);
  });
  const F16 pull = splat(gx / static_cast<float>(width) * rstd * rstd);
  for (int64_t i = 0; i < width; i += kLanes) {
    const int64_t n = min_of(kLanes, width - i);
    const F16 g = mul(load_some(dy + i, n), load_some(weight + i, n));
    const F16 grad = fnma(load_some(x + i, n), pull, g);
    store_some(dx + i, fma(grad, splat(rstd), zero()), n);  // a zero becomes +0
  }
}

// The chain over the rows [first, last) and their groups of dy * (x * rstd), for the columns from `begin` on; `lanes`
// columns in the last vector.
template <int NV>
void weight_chain(const RmsNormGrad& args, int64_t dy_stride, int64_t x_stride, int64_t first, int64_t last,
                  int64_t begin, int64_t lanes, float* out) {
  F16 sums[NV];
  const auto width = [lanes](int v) { return v == NV - 1 ? lanes : kLanes; };
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) sums[v] = zero();
  for (int64_t row = first; row < last; ++row)
    for (int64_t group = 0; group < args.groups; ++group) {
      const float* x = args.x + row * x_stride + group * args.width + begin;
      const float* dy = args.dy + row * dy_stride + group * args.width + begin;
      const F16 rstd = splat(args.rstd[row * args.groups + group]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const F16 x_hat = mul(load_some(x + v * kLanes, width(v)), rstd);
        sums[v] = fma(load_some(dy + v * kLanes, width(v)), x_hat, sums[v]);
      }
    }
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) store(out + v * kLanes, sums[v]);
}

// dweight[begin, begin + 16 NV) += the tree over the sequences.
template <int NV>
void weight_columns(const RmsNormGrad& args, int64_t dy_stride, int64_t x_stride, int64_t begin, int64_t lanes) {
  constexpr int64_t kCount = NV * kLanes;
  const Sequences& rows = args.sequences;
  float* sum = scratch((1 + tree_depth(rows.count)) * kCount);
  tree_sum(rows, 0, rows.count, sum, sum + kCount, kCount, [&](int64_t sequence, float* to) {
    weight_chain<NV>(args, dy_stride, x_stride, rows.starts[sequence], rows.starts[sequence + 1], begin, lanes, to);
  });
  add_into(args.dweight + begin, sum, kCount - kLanes + lanes);
}

void weight_range(const RmsNormGrad& args, int64_t dy_stride, int64_t x_stride, int64_t begin, int64_t end) {
  for (; end - begin >= 4 * kLanes; begin += 4 * kLanes) weight_columns<4>(args, dy_stride, x_stride, begin, kLanes);
  for (; begin < end; begin += kLanes) weight_columns<1>(args, dy_stride, x_stride, begin, min_of(kLanes, end - begin));
}

}  // namespace

void rms_norm(const RmsNorm& args) {
  const int64_t full = args.groups * args.width;
  const int64_t x_stride = args.x_stride != 0 ? args.x_stride : full;
  const int64_t y_stride = args.y_stride != 0 ? args.y_stride : full;
  parallel_ranges(args.rows, 6 * full, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* x = args.x + row * x_stride;
      for (int64_t group = 0; group < args.groups; ++group) {
        const int64_t at = group * args.width;
        const float rstd = norm_vector(x + at, args.weight, args.eps, args.y + row * y_stride + at, args.width);
        if (args.rstd != nullptr) args.rstd[row * args.groups + group] = rstd;
      }
    }
  });
}

void rms_norm_backward(const RmsNormGrad& args) {
  const int64_t full = args.groups * args.width;
  const int64_t dy_stride = args.dy_stride != 0 ? args.dy_stride : full;
  const int64_t x_stride = args.x_stride != 0 ? args.x_stride : full;
  const int64_t dx_stride = args.dx_stride != 0 ? args.dx_stride : full;
  const int64_t rows = args.sequences.count > 0 ? args.sequences.rows() : 0;
  if (rows == 0) return;
  // The weight gradient comes first, because dx may overwrite dy.
  parallel_ranges(args.width, 4 * rows * args.groups, kLanes,
                  [&](int64_t begin, int64_t end) { weight_range(args, dy_stride, x_stride, begin, end); });
  parallel_ranges(rows, 8 * full, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t group = 0; group < args.groups; ++group) {
        const int64_t at = group * args.width;
        norm_vector_backward(args.dy + row * dy_stride + at, args.x + row * x_stride + at, args.weight,
                             args.rstd[row * args.groups + group], args.dx + row * dx_stride + at, args.width);
      }
  });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
