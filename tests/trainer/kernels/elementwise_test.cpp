// Checks SwiGLU and RoPE against double precision, and exp and log over the range that is used. The sums of embedding
// and bias gradients must have the bits of the documented tree.
#include <algorithm>
#include <numeric>

#include "tests/trainer/kernels/support.h"

namespace terse::trainer::kernels {
namespace {

// Distance in units in the last place of the float nearest to `expected`.
double ulps(float found, double expected) {
  const float nearest = static_cast<float>(expected);
  if (std::isinf(nearest) || nearest == 0.0f) return found == nearest ? 0 : std::abs(found - expected) / 0x1p-149;
  const double unit = std::max(std::ldexp(1.0, std::ilogb(nearest) - 23), 0x1p-149);
  return std::abs(static_cast<double>(found) - expected) / unit;
}

// exp of each number: the gradient of a log-probability, less its sign, whose sum of exponentials is taken as 1. One
// more number is the target, which has another gradient.
Floats exp_of(Floats x) {
  x.push_back(0);
  const int64_t target = std::ssize(x) - 1;
  Floats all = run_everywhere([&](const Table& table) {
    const float lse = 0, minus = -1;
    Floats out(x.size());
    table.logprob_backward({.logits = x.data(),
                            .targets = &target,
                            .rows = 1,
                            .vocab = std::ssize(x),
                            .lse = &lse,
                            .d_logprob = &minus,
                            .dlogits = out.data()});
    return out;
  });
  all.pop_back();
  return all;
}

TEST(KernelsMath, ExpIsWithinTwoUlpsOverTheWholeRange) {
  Floats x;
  for (double v = -110; v < 95; v += 0.00123) x.push_back(static_cast<float>(v));
  for (int e = -140; e < 7; ++e)
    for (const double m : {1.0, 1.3, -1.0, -1.7}) x.push_back(static_cast<float>(std::ldexp(m, e)));
  const Floats y = exp_of(x);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(static_cast<double>(x[i]));
    if (expected < 0x1p-126 * (1 - 0x1p-20)) {  // near the least normal number, the last bits decide
      ASSERT_EQ(y[i], 0.0f) << x[i];
    } else if (static_cast<float>(expected) == INFINITY) {
      ASSERT_EQ(y[i], INFINITY) << x[i];
    } else {
      worst = std::max(worst, ulps(y[i], expected));
      ASSERT_LE(ulps(y[i], expected), 2.0) << x[i];
    }
  }
  RecordProperty("worst_ulps", std::to_string(worst));
}

TEST(KernelsMath, ExpAtTheLimits) {
  const Floats x = {0.0f, -0.0f, -INFINITY, NAN, -NAN, 1e30f, -1e30f, -200.0f, 89.0f, FLT_MAX, -FLT_MAX};
  const Floats y = exp_of(x);
  EXPECT_EQ(Floats(y.begin(), y.begin() + 3), Floats({1, 1, 0}));
  EXPECT_TRUE(std::isnan(y[3]) && std::isnan(y[4]));
  EXPECT_EQ(Floats(y.begin() + 5, y.end()), Floats({INFINITY, 0, 0, INFINITY, INFINITY, 0}));
}

// The log of the sum of exponentials of each row of `vocab` logits, the largest of which is 0.
Floats log_of_sums(const Floats& logits, int64_t vocab) {
  return run_everywhere([&](const Table& table) {
    const int64_t rows = static_cast<int64_t>(logits.size()) / vocab;
    Floats lse(static_cast<size_t>(rows));
    table.logprob({.logits = logits.data(), .rows = rows, .vocab = vocab, .lse = lse.data()});
    return lse;
  });
}

// Sums of exponentials are at least 1, because the largest one is exp(0).
TEST(KernelsMath, LogIsWithinTwoUlpsOfEverySumFromOneToTwo) {
  Floats x, rows;
  for (double v = 0; v > -17.5; v -= 0.0007) x.push_back(static_cast<float>(v));
  for (const float v : x) rows.insert(rows.end(), {0.0f, v});
  const Floats e = exp_of(x), y = log_of_sums(rows, 2);
  for (size_t i = 0; i < x.size(); ++i) {
    const float sum = 1.0f + e[i];
    ASSERT_LE(ulps(y[i], std::log(static_cast<double>(sum))), 2.0) << sum << " gave " << y[i];
  }
}

TEST(KernelsMath, LogIsWithinTwoUlpsOfWholeNumbers) {
  for (int64_t n = 1; n < 200'000; n += 1 + n / 50)
    ASSERT_LE(ulps(log_of_sums(Floats(static_cast<size_t>(n)), n)[0], std::log(static_cast<double>(n))), 2.0) << n;
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

TEST(KernelsSwiglu, MatchesDoublePrecisionForwardAndBackward) {
  for (const int64_t width : {1, 7, 15, 16, 17, 33, 100})
    for (const int64_t rows : {1, 7, 200}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << width);
      const Floats gate_up = random_floats(rows * 2 * width, 1, 4), dh = random_floats(rows * width, 2);
      std::vector<double> h, grad(gate_up.size());
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < width; ++i) {
          const double g = gate_up[r * 2 * width + i], u = gate_up[r * 2 * width + width + i], d = dh[r * width + i];
          h.push_back(g * sigmoid(g) * u);
          grad[r * 2 * width + i] = d * u * sigmoid(g) * (1 + g * (1 - sigmoid(g)));
          grad[r * 2 * width + width + i] = d * g * sigmoid(g);
        }
      EXPECT_TRUE(close(run_everywhere([&](const Table& table) {
                          Floats out(rows * width);
                          table.swiglu(gate_up.data(), out.data(), rows, width);
                          return out;
                        }),
                        h, 1e-6));
      EXPECT_TRUE(close(run_everywhere([&](const Table& table) {
                          Floats in_place = gate_up;
                          table.swiglu_backward(in_place.data(), dh.data(), in_place.data(), rows, width);
                          return in_place;
                        }),
                        grad, 2e-6));
    }
}

TEST(KernelsSwiglu, ExtremeGatesStayFinite) {
  const Floats gate_up = {-1000, 1000, -88, 88, 2, 2, 2, 2}, dh = {1, 1, 1, 1};
  Floats h(4), grad(8);
  cpu().swiglu(gate_up.data(), h.data(), 1, 4);
  cpu().swiglu_backward(gate_up.data(), dh.data(), grad.data(), 1, 4);
  EXPECT_EQ(h[0], 0.0f);
  EXPECT_EQ(h[1], 2000.0f);
  for (const float g : grad) EXPECT_TRUE(std::isfinite(g));
}

TEST(KernelsRope, TurnsEachPairByItsAngleAndBack) {
  const double theta = 10000;
  for (const int64_t width : {8, 16, 24, 32, 64, 128, 256}) {
    const int64_t rows = 37, heads = 3, stride = heads * width + 5, limit = 300;
    Floats table_data(limit * width);
    rope_table(table_data.data(), limit, frequencies_of(width, theta));
    const Floats x = random_floats(rows * stride, 1);
    const std::vector<int64_t> positions = random_ints(rows, limit, 2);
    const auto turn = [&](Floats data, bool inverse) {
      return run_everywhere([&](const Table& table) {
        Floats copy = data;
        table.rope({.x = copy.data(),
                    .positions = positions.data(),
                    .table = table_data.data(),
                    .rows = rows,
                    .heads = heads,
                    .head_dim = width,
                    .row_stride = stride,
                    .inverse = inverse});
        return copy;
      });
    };
    const Floats turned = turn(x, false);
    std::vector<double> expected(x.begin(), x.end());  // the elements between rows stay
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < width / 2; ++i) {
          const int64_t at = r * stride + h * width + i, other = at + width / 2;
          const double angle = static_cast<double>(positions[r]) * std::pow(theta, -2.0 * i / width);
          expected[at] = x[at] * std::cos(angle) - x[other] * std::sin(angle);
          expected[other] = x[other] * std::cos(angle) + x[at] * std::sin(angle);
        }
    EXPECT_TRUE(close(turned, expected, 1e-6)) << "width " << width;
    EXPECT_TRUE(close(turn(turned, true), std::vector<double>(x.begin(), x.end()), 2e-6)) << "width " << width;
  }
}

TEST(KernelsRope, ARowDoesNotDependOnItsPlace) {
  const int64_t width = 16, heads = 4, full = width * heads;
  Floats table_data(50 * width);
  rope_table(table_data.data(), 50, frequencies_of(width, 10000));
  const Floats x = random_floats(30 * full, 1);
  const std::vector<int64_t> positions = random_ints(30, 50, 2);
  Rope args{.positions = positions.data(), .table = table_data.data(), .rows = 30, .heads = heads, .head_dim = width};
  Floats all = x;
  args.x = all.data();
  cpu().rope(args);
  for (int64_t row = 0; row < 30; ++row) {
    Floats one(x.begin() + row * full, x.begin() + (row + 1) * full);
    args.x = one.data();
    args.positions = positions.data() + row;
    args.rows = 1;
    cpu().rope(args);
    EXPECT_TRUE(same_bits(one.data(), all.data() + row * full, full)) << row;
  }
}

// Returns the rows sorted by token. The rows of one token stay in order.
std::vector<int64_t> by_token(const std::vector<int64_t>& tokens) {
  std::vector<int64_t> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return tokens[a] < tokens[b]; });
  return order;
}

TEST(KernelsEmbedding, GathersRowsAndSumsGradientsAsATree) {
  for (const std::vector<int32_t>& lengths : kSequenceLengths)
    for (const int64_t width : {1, 33, 64}) {
      const std::vector<int32_t> starts = starts_of(lengths);
      const Sequences sequences = sequences_of(starts);
      const int64_t vocab = 11, rows = sequences.rows();
      const Floats weights = random_floats(vocab * width, 1), dy = random_floats(rows * width, 2);
      const std::vector<int64_t> tokens = random_ints(rows, vocab, 3), order = by_token(tokens);
      const Floats y = run_everywhere([&](const Table& table) {
        Floats out(rows * width);
        table.embedding(weights.data(), tokens.data(), out.data(), rows, width);
        return out;
      });
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < width; ++i) ASSERT_EQ(y[r * width + i], weights[tokens[r] * width + i]);
      const Floats start = random_floats(vocab * width, 4);
      const Floats grad = run_everywhere([&](const Table& table) {
        Floats sums = start;
        table.embedding_backward(dy.data(), tokens.data(), order.data(), sums.data(), sequences, width);
        return sums;
      });
      Floats expected = start;
      for (int64_t token = 0; token < vocab; ++token)
        for (int64_t i = 0; i < width; ++i)
          expected[token * width + i] += tree_of(sequences, [&](int64_t begin, int64_t end) {
                                           float chain = 0;
                                           for (int64_t r = begin; r < end; ++r)
                                             if (tokens[r] == token) chain += dy[r * width + i];
                                           return chain;
                                         }).value();
      EXPECT_TRUE(same_bits(expected, grad)) << lengths.size() << " sequences, width " << width;
    }
}

TEST(KernelsSums, AddIsExactAndColumnSumIsATree) {
  for (const std::vector<int32_t>& lengths : kSequenceLengths)
    for (const int64_t cols : {1, 15, 17, 100}) {
      const std::vector<int32_t> starts = starts_of(lengths);
      const Sequences sequences = sequences_of(starts);
      const Floats a = random_floats(sequences.rows() * cols, 1), b = random_floats(sequences.rows() * cols, 2);
      Floats sum(a.size()), columns(cols, 0.5f);
      for (size_t i = 0; i < a.size(); ++i) sum[i] = a[i] + b[i];
      for (int64_t col = 0; col < cols; ++col)
        columns[col] += *tree_of(sequences, [&](int64_t begin, int64_t end) {
          float chain = 0;
          for (int64_t row = begin; row < end; ++row) chain += a[row * cols + col];
          return chain;
        });
      EXPECT_TRUE(same_bits(sum, run_everywhere([&](const Table& table) {
                              Floats y = a;
                              table.add(y.data(), b.data(), y.data(), static_cast<int64_t>(y.size()));
                              return y;
                            })));
      EXPECT_TRUE(same_bits(columns, run_everywhere([&](const Table& table) {
                              Floats sums(cols, 0.5f);
                              table.column_sum(a.data(), sums.data(), sequences, cols);
                              return sums;
                            })));
    }
}

}  // namespace
}  // namespace terse::trainer::kernels
