// Runs the RMSNorm kernel of the GPU on the host. Compares it with the CPU kernel in fp32, and its bf16 results with
// its fp32 results.
#include "tests/support/cuda_on_host.h"
#include "tests/trainer/kernels/support.h"

namespace terse::trainer::kernels {
namespace {

using support::cuda_on_host;
using Halves = std::vector<cuda::Bf16>;

// Widths below, at and above a pack (8) and a warp's span (256), some of which allow 16-byte moves.
const int64_t kWidths[] = {1, 7, 8, 9, 64, 100, 255, 256, 257, 264, 1000};
constexpr float kEps = 1e-6f;
// Both sides sum in fp32, in different orders. The tolerance is a few units in the last place of a sum of up to 1000
// terms.
constexpr double kTolerance = 3e-6;

std::vector<double> doubles(const Floats& values) {
  return {values.begin(), values.end()};
}

Halves narrow(const Floats& values) {
  Halves result;
  for (const float value : values) result.push_back(cuda::rounded<cuda::Bf16>(value));
  return result;
}

Floats widen(const Halves& values) {
  Floats result;
  for (const cuda::Bf16 value : values) result.push_back(cuda::to_float(value));
  return result;
}

// One norm and its gradient, in storage of type T. The storage has two elements more than needed, which must not
// change.
template <class T>
struct Case {
  int64_t rows, groups, width, gap;  // gap: elements between rows, as in a fused q|k|v row
  bool residual;
  std::vector<T> x, delta, weight, dy, dsum, dweight;
  std::vector<T> y, sum, dx;
  Floats rstd;

  int64_t stride() const { return groups * width + gap; }

  void run() {
    const cuda::Dtype dtype = sizeof(T) == 4 ? cuda::Dtype::kFloat32 : cuda::Dtype::kBFloat16;
    const size_t size = static_cast<size_t>(rows * stride() + 2);
    y.assign(size, cuda::rounded<T>(5.0f)), dx = y, sum = y;
    rstd.assign(static_cast<size_t>(rows * groups), 0.0f);
    ASSERT_EQ(cuda_on_host().rms_norm({.dtype = dtype,
                                       .x = x.data(),
                                       .delta = residual ? delta.data() : nullptr,
                                       .sum = residual ? sum.data() : nullptr,
                                       .weight = weight.data(),
                                       .eps = kEps,
                                       .y = y.data(),
                                       .rstd = rstd.data(),
                                       .rows = rows,
                                       .groups = groups,
                                       .width = width,
                                       .x_stride = stride(),
                                       .y_stride = stride()},
                                      nullptr),
              nullptr);
    Floats partial(static_cast<size_t>(cuda::rms_norm_slabs(rows * groups) * width));
    ASSERT_EQ(cuda_on_host().rms_norm_backward({.dtype = dtype,
                                                .dy = dy.data(),
                                                .x = residual ? sum.data() : x.data(),
                                                .weight = weight.data(),
                                                .rstd = rstd.data(),
                                                .dsum = residual ? dsum.data() : nullptr,
                                                .dx = dx.data(),
                                                .dweight = dweight.data(),
                                                .partial = partial.data(),
                                                .rows = rows,
                                                .groups = groups,
                                                .width = width,
                                                .dy_stride = stride(),
                                                .x_stride = stride(),
                                                .dx_stride = stride()},
                                               nullptr),
              nullptr);
  }
};

Case<float> random_case(int64_t rows, int64_t groups, int64_t width, int64_t gap, bool residual) {
  Case<float> c{rows, groups, width, gap, residual, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  const int64_t size = rows * c.stride() + 2;
  c.x = random_floats(size, 1), c.delta = random_floats(size, 2), c.weight = random_floats(width, 3);
  c.dy = random_floats(size, 4), c.dsum = random_floats(size, 5), c.dweight = random_floats(width, 6);
  return c;
}

// Runs the same case on the CPU kernels.
Case<float> on_cpu(Case<float> c) {
  c.y.assign(c.x.size(), 5.0f), c.dx = c.y, c.sum = c.y;
  c.rstd.assign(static_cast<size_t>(c.rows * c.groups), 0.0f);
  const int64_t size = c.rows * c.stride();
  if (c.residual) cpu().add(c.x.data(), c.delta.data(), c.sum.data(), size);
  const float* const normed = c.residual ? c.sum.data() : c.x.data();
  cpu().rms_norm({.x = normed,
                  .weight = c.weight.data(),
                  .eps = kEps,
                  .y = c.y.data(),
                  .rstd = c.rstd.data(),
                  .rows = c.rows,
                  .groups = c.groups,
                  .width = c.width,
                  .x_stride = c.stride(),
                  .y_stride = c.stride()});
  const std::vector<int32_t> starts = {0, static_cast<int32_t>(c.rows)};
  cpu().rms_norm_backward({.dy = c.dy.data(),
                           .x = normed,
                           .weight = c.weight.data(),
                           .rstd = c.rstd.data(),
                           .dx = c.dx.data(),
                           .dweight = c.dweight.data(),
                           .sequences = {starts.data(), 1},
                           .groups = c.groups,
                           .width = c.width,
                           .dy_stride = c.stride(),
                           .x_stride = c.stride(),
                           .dx_stride = c.stride()});
  if (c.residual) cpu().add(c.dx.data(), c.dsum.data(), c.dx.data(), size);
  return c;
}

void expect_agreement(int64_t rows, int64_t groups, int64_t width, int64_t gap, bool residual) {
  Case<float> c = random_case(rows, groups, width, gap, residual);
  const Case<float> expected = on_cpu(c);
  c.run();
  const auto where = ::testing::Message() << rows << " rows, " << groups << " x " << width << ", gap " << gap
                                          << (residual ? ", residual" : "");
  EXPECT_TRUE(close(c.y, doubles(expected.y), kTolerance)) << where;
  EXPECT_TRUE(close(c.rstd, doubles(expected.rstd), kTolerance)) << where;
  EXPECT_TRUE(same_bits(c.sum, expected.sum)) << where;
  EXPECT_TRUE(close(c.dx, doubles(expected.dx), kTolerance)) << where;
  // The terms of a sum over many rows cancel. So its error is proportional to the terms, not to the sum.
  EXPECT_TRUE(close(c.dweight, doubles(expected.dweight), kTolerance * std::sqrt(1.0 + static_cast<double>(rows))))
      << where;
}

TEST(KernelsCudaRmsNorm, AgreesWithTheCpuAtEveryWidth) {
  for (const int64_t width : kWidths) {
    for (const int64_t rows : {0, 1, 3, 70}) {
      expect_agreement(rows, 1, width, 0, false);
      expect_agreement(rows, 1, width, 0, true);
    }
  }
}

TEST(KernelsCudaRmsNorm, AgreesWithTheCpuOnHeadsInsideARow) {
  for (const int64_t width : {6, 8, 16, 40}) {
    for (const int64_t gap : {0, 3, 16}) expect_agreement(21, 3, width, gap, false);
  }
}

TEST(KernelsCudaRmsNorm, AgreesWithTheCpuOnMoreVectorsThanSlabs) {
  expect_agreement(20011, 1, 8, 0, false);
  expect_agreement(6007, 3, 9, 1, false);
}

// The bf16 kernel computes in fp32 and rounds once, so the test needs no tolerance.
TEST(KernelsCudaRmsNorm, Bf16IsTheRoundedResultOfFp32) {
  for (const int64_t width : kWidths) {
    for (const bool residual : {false, true}) {
      const Case<float> base = random_case(37, 1, width, 0, residual);
      Case<cuda::Bf16> half{37,
                            1,
                            width,
                            0,
                            residual,
                            narrow(base.x),
                            narrow(base.delta),
                            narrow(base.weight),
                            narrow(base.dy),
                            narrow(base.dsum),
                            narrow(base.dweight),
                            {},
                            {},
                            {},
                            {}};
      Case<float> wide{37,
                       1,
                       width,
                       0,
                       residual,
                       widen(half.x),
                       widen(half.delta),
                       widen(half.weight),
                       widen(half.dy),
                       widen(half.dsum),
                       widen(half.dweight),
                       {},
                       {},
                       {},
                       {}};
      if (residual) {  // the kernel normalises the rounded sum
        for (size_t i = 0; i < wide.x.size(); ++i) {
          wide.x[i] = cuda::to_float(cuda::rounded<cuda::Bf16>(wide.x[i] + wide.delta[i]));
          wide.delta[i] = 0;
        }
      }
      half.run();
      wide.run();
      EXPECT_TRUE(same_bits(half.rstd, wide.rstd)) << width;
      EXPECT_TRUE(same_bits(widen(half.y), widen(narrow(wide.y)))) << width;
      EXPECT_TRUE(same_bits(widen(half.sum), wide.sum)) << width;
      EXPECT_TRUE(same_bits(widen(half.dx), widen(narrow(wide.dx)))) << width;
      EXPECT_TRUE(same_bits(widen(half.dweight), widen(narrow(wide.dweight)))) << width;
    }
  }
}

TEST(KernelsCudaRmsNorm, AlignmentChangesNoBit) {
  const int64_t rows = 5, width = 512;
  const Floats x = random_floats(rows * width + 1, 1), weight = random_floats(width, 2);
  Floats aligned(x.begin() + 1, x.end()), y(rows * width), z(rows * width), rstd(rows);
  const cuda::RmsNorm args{.weight = weight.data(), .eps = kEps, .rstd = rstd.data(), .rows = rows, .width = width};
  cuda::RmsNorm even = args, odd = args;
  even.x = aligned.data(), even.y = y.data(), odd.x = x.data() + 1, odd.y = z.data();
  ASSERT_EQ(cuda_on_host().rms_norm(even, nullptr), nullptr);
  ASSERT_EQ(cuda_on_host().rms_norm(odd, nullptr), nullptr);
  EXPECT_TRUE(same_bits(y, z));
}

TEST(KernelsCudaRmsNorm, MayOverwriteItsInput) {
  Case<float> c = random_case(9, 1, 300, 0, false);
  c.run();
  Floats x = c.x, d = c.dy, dweight(300), partial(static_cast<size_t>(cuda::rms_norm_slabs(9)) * 300);
  cuda_on_host().rms_norm_backward({.dy = d.data(),
                                    .x = x.data(),
                                    .weight = c.weight.data(),
                                    .rstd = c.rstd.data(),
                                    .dx = d.data(),
                                    .dweight = dweight.data(),
                                    .partial = partial.data(),
                                    .rows = 9,
                                    .width = 300},
                                   nullptr);
  EXPECT_TRUE(same_bits(d.data(), c.dx.data(), 9 * 300));
  cuda_on_host().rms_norm({.x = x.data(),
                           .weight = c.weight.data(),
                           .eps = kEps,
                           .y = x.data(),
                           .rstd = c.rstd.data(),
                           .rows = 9,
                           .width = 300},
                          nullptr);
  EXPECT_TRUE(same_bits(x.data(), c.y.data(), 9 * 300));
}

TEST(KernelsCudaRmsNorm, NanStaysInItsRow) {
  Case<float> c = random_case(3, 1, 16, 0, false);
  c.x[20] = NAN;
  c.run();
  for (size_t i = 0; i < 48; ++i) EXPECT_EQ(std::isnan(c.y[i]), i / 16 == 1) << i;
}

}  // namespace
}  // namespace terse::trainer::kernels
