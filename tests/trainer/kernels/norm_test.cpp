// Checks RMSNorm: values and gradients against double precision, strided heads, row invariance, and the order of sums
// bit for bit.
#include "tests/trainer/kernels/support.h"

namespace terse::trainer::kernels {
namespace {

const int64_t kWidths[] = {1, 7, 15, 16, 17, 33, 64, 65, 100, 384};
constexpr float kEps = 1e-6f;

struct Reference {
  std::vector<double> y, dx, dweight;
};

Reference reference(const Floats& x, const Floats& weight, const Floats& dy, int64_t rows, int64_t width) {
  Reference result;
  result.dweight.assign(width, 0);
  for (int64_t r = 0; r < rows; ++r) {
    double squares = 0, gx = 0;
    for (int64_t i = 0; i < width; ++i) squares += std::pow(x[r * width + i], 2);
    const double rstd = 1 / std::sqrt(squares / width + kEps);
    for (int64_t i = 0; i < width; ++i) gx += static_cast<double>(dy[r * width + i]) * weight[i] * x[r * width + i];
    for (int64_t i = 0; i < width; ++i) {
      const double v = x[r * width + i], g = dy[r * width + i];
      result.y.push_back(v * rstd * weight[i]);
      result.dx.push_back(rstd * (g * weight[i] - v * rstd * rstd * gx / width));
      result.dweight[i] += g * v * rstd;
    }
  }
  return result;
}

TEST(KernelsRmsNorm, MatchesDoublePrecisionForwardAndBackward) {
  for (const int64_t width : kWidths)
    for (const int64_t rows : {1, 7, 130}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << width);
      const Floats x = random_floats(rows * width, 1, 3), weight = random_floats(width, 2),
                   dy = random_floats(rows * width, 3);
      const Reference expected = reference(x, weight, dy, rows, width);
      Floats rstd(rows);
      const Floats y = run_everywhere([&](const Table& table) {
        Floats out(rows * width);
        table.rms_norm({.x = x.data(),
                        .weight = weight.data(),
                        .eps = kEps,
                        .y = out.data(),
                        .rstd = rstd.data(),
                        .rows = rows,
                        .width = width});
        return out;
      });
      EXPECT_TRUE(close(y, expected.y, 1e-6));
      const std::vector<int32_t> starts = {0, static_cast<int32_t>(rows) / 3, static_cast<int32_t>(rows)};
      const RmsNormGrad grad{.dy = dy.data(),
                             .x = x.data(),
                             .weight = weight.data(),
                             .rstd = rstd.data(),
                             .sequences = sequences_of(starts),
                             .width = width};
      Floats dweight(width);
      const Floats dx = run_everywhere([&](const Table& table) {
        Floats out = dy;
        RmsNormGrad in_place = grad;
        in_place.dy = in_place.dx = out.data();
        std::fill(dweight.begin(), dweight.end(), 0.0f);
        in_place.dweight = dweight.data();
        table.rms_norm_backward(in_place);
        return out;
      });
      EXPECT_TRUE(close(dx, expected.dx, 3e-6));
      EXPECT_TRUE(close(dweight, expected.dweight, 2e-5));
    }
}

TEST(KernelsRmsNorm, ARowDoesNotDependOnItsBatch) {
  for (const int64_t width : kWidths) {
    const int64_t rows = 200;
    const Floats x = random_floats(rows * width, 1), weight = random_floats(width, 2);
    Floats all(rows * width), one(width);
    RmsNorm args{.x = x.data(), .weight = weight.data(), .eps = kEps, .y = all.data(), .rows = rows, .width = width};
    cpu().rms_norm(args);
    for (const int64_t row : {0, 1, 99, 100, 199}) {
      args.x = x.data() + row * width;
      args.y = one.data();
      args.rows = 1;
      cpu().rms_norm(args);
      EXPECT_TRUE(same_bits(one.data(), all.data() + row * width, width)) << "row " << row << ", width " << width;
    }
  }
}

// Runs the forward and the backward pass on `rows` rows of `heads` vectors. A row has `stride` floats. In `dx`, floats
// between the vectors of two rows keep the value 5.
struct BothPasses {
  BothPasses(const float* x, const Floats& weight, const float* dy, int64_t rows, int64_t heads, int64_t stride)
      : y(x, x + rows * stride), rstd(rows * heads), dx(rows * stride, 5.0f), dweight(weight.size(), 0.0f) {
    const auto width = static_cast<int64_t>(weight.size());
    const std::vector<int32_t> starts = {0, static_cast<int32_t>(rows)};
    cpu().rms_norm({.x = x,
                    .weight = weight.data(),
                    .eps = kEps,
                    .y = y.data(),
                    .rstd = rstd.data(),
                    .rows = rows,
                    .groups = heads,
                    .width = width,
                    .x_stride = stride,
                    .y_stride = stride});
    cpu().rms_norm_backward({.dy = dy,
                             .x = x,
                             .weight = weight.data(),
                             .rstd = rstd.data(),
                             .dx = dx.data(),
                             .dweight = dweight.data(),
                             .sequences = sequences_of(starts),
                             .groups = heads,
                             .width = width,
                             .dy_stride = stride,
                             .x_stride = stride,
                             .dx_stride = stride});
  }
  Floats y, rstd, dx, dweight;
};

TEST(KernelsRmsNorm, StridedHeadsEqualSeparateVectors) {
  const int64_t rows = 9, heads = 3, width = 24, stride = 100;
  const Floats x = random_floats(rows * stride, 1), weight = random_floats(width, 2),
               dy = random_floats(rows * stride, 3);
  const BothPasses all(x.data(), weight, dy.data(), rows, heads, stride);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t at = r * stride + h * width;
      const BothPasses one(x.data() + at, weight, dy.data() + at, 1, 1, width);
      EXPECT_TRUE(same_bits(one.y.data(), all.y.data() + at, width));
      EXPECT_TRUE(same_bits(one.dx.data(), all.dx.data() + at, width));
      EXPECT_TRUE(same_bits(one.rstd.data(), all.rstd.data() + r * heads + h, 1));
    }
    for (int64_t i = heads * width; i < stride; ++i) ASSERT_EQ(all.dx[r * stride + i], 5.0f);
  }
  Floats chain(width, 0.0f);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < width; ++i) {
        const int64_t at = r * stride + h * width + i;
        chain[i] = std::fma(dy[at], x[at] * all.rstd[r * heads + h], chain[i]);
      }
  EXPECT_TRUE(same_bits(chain, all.dweight));
}

TEST(KernelsRmsNorm, TheWeightGradientIsTheDocumentedTree) {
  const int64_t width = 50;
  for (const std::vector<int32_t>& lengths : kSequenceLengths) {
    const std::vector<int32_t> starts = starts_of(lengths);
    const Sequences sequences = sequences_of(starts);
    const int64_t rows = sequences.rows();
    const Floats x = random_floats(rows * width, 1), weight = random_floats(width, 2),
                 dy = random_floats(rows * width, 3);
    Floats y(rows * width), rstd(rows), dx(rows * width);
    cpu().rms_norm({.x = x.data(),
                    .weight = weight.data(),
                    .eps = kEps,
                    .y = y.data(),
                    .rstd = rstd.data(),
                    .rows = rows,
                    .width = width});
    const Floats result = run_everywhere([&](const Table& table) {
      Floats dweight(width, 0.25f);
      table.rms_norm_backward({.dy = dy.data(),
                               .x = x.data(),
                               .weight = weight.data(),
                               .rstd = rstd.data(),
                               .dx = dx.data(),
                               .dweight = dweight.data(),
                               .sequences = sequences,
                               .width = width});
      return dweight;
    });
    Floats expected(width, 0.25f);
    for (int64_t i = 0; i < width; ++i)
      expected[i] += *tree_of(sequences, [&](int64_t begin, int64_t end) {
        float chain = 0;
        for (int64_t r = begin; r < end; ++r) chain = std::fma(dy[r * width + i], x[r * width + i] * rstd[r], chain);
        return chain;
      });
    EXPECT_TRUE(same_bits(expected, result)) << lengths.size() << " sequences";
  }
}

TEST(KernelsRmsNorm, NanStaysInItsRow) {
  const Floats weight(16, 1.0f);
  Floats x(3 * 16, 1.0f), y(3 * 16);
  x[20] = NAN;
  cpu().rms_norm({.x = x.data(), .weight = weight.data(), .eps = kEps, .y = y.data(), .rows = 3, .width = 16});
  for (int i = 0; i < 48; ++i) EXPECT_EQ(std::isnan(y[i]), i / 16 == 1);
}

}  // namespace
}  // namespace terse::trainer::kernels
