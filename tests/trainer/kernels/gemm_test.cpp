// Checks that every output of a matrix product is the documented chain or tree, bit for bit.
#include "tests/trainer/kernels/support.h"

namespace terse::trainer::kernels {
namespace {

struct Sizes {
  int64_t m, n, k;
};

const Sizes kSizes[] = {{1, 1, 1},    {1, 64, 64},   {1, 129, 7},   {2, 100, 33},   {3, 65, 16},    {5, 17, 1},
                        {7, 15, 100}, {12, 32, 8},   {13, 33, 192}, {16, 16, 193},  {25, 47, 50},   {33, 1, 17},
                        {64, 64, 64}, {100, 7, 385}, {121, 96, 64}, {255, 130, 40}, {301, 31, 200}, {40, 200, 401}};

// The documented chain: start, then one fused multiply-add per step.
Floats gemm_chain(const Floats& x, const Floats& w, const Floats* bias, Floats y, const Sizes& s, bool accumulate) {
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t j = 0; j < s.n; ++j) {
      float sum = accumulate ? y[i * s.n + j] : bias != nullptr ? (*bias)[j] : 0.0f;
      for (int64_t p = 0; p < s.k; ++p) sum = std::fma(x[i * s.k + p], w[p * s.n + j], sum);
      y[i * s.n + j] = sum;
    }
  return y;
}

TEST(KernelsGemm, EachOutputIsTheDocumentedChain) {
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    const Floats x = random_floats(s.m * s.k, 1), w = random_floats(s.k * s.n, 2), bias = random_floats(s.n, 3);
    const Floats y = random_floats(s.m * s.n, 4);
    for (const int mode : {0, 1, 2}) {
      const Floats* used_bias = mode == 1 ? &bias : nullptr;
      const bool accumulate = mode == 2;
      const Floats result = run_everywhere([&](const Table& table) {
        Floats out = y;
        table.gemm(x.data(), w.data(), used_bias != nullptr ? bias.data() : nullptr, out.data(), s.m, s.n, s.k,
                   accumulate);
        return out;
      });
      EXPECT_TRUE(same_bits(gemm_chain(x, w, used_bias, y, s, accumulate), result)) << "mode " << mode;
    }
  }
}

TEST(KernelsGemm, EmptySumLeavesBiasOrZero) {
  const Floats bias = {1, 2, 3};
  Floats y(6, 9);
  cpu().gemm(nullptr, nullptr, bias.data(), y.data(), 2, 3, 0, false);
  EXPECT_EQ(y, Floats({1, 2, 3, 1, 2, 3}));
  cpu().gemm(nullptr, nullptr, nullptr, y.data(), 2, 3, 0, false);
  EXPECT_EQ(y, Floats(6, 0));
  cpu().gemm(nullptr, nullptr, nullptr, y.data(), 0, 3, 0, false);
}

TEST(KernelsGemm, ARowDoesNotDependOnItsBatch) {
  const Sizes s = {400, 70, 210};
  const Floats x = random_floats(s.m * s.k, 1), w = random_floats(s.k * s.n, 2);
  Floats all(s.m * s.n);
  cpu().gemm(x.data(), w.data(), nullptr, all.data(), s.m, s.n, s.k, false);
  for (const int64_t row : {0, 1, 11, 12, 199, 200, 239, 240, 399})
    for (const int64_t batch : {1, 2, 3, 4, 13, 24}) {
      // Puts the row last in a batch whose other rows hold infinities or NaN.
      Floats mixed(batch * s.k, row % 2 == 0 ? INFINITY : NAN);
      std::copy_n(x.begin() + row * s.k, s.k, mixed.end() - s.k);
      Floats y(batch * s.n);
      cpu().gemm(mixed.data(), w.data(), nullptr, y.data(), batch, s.n, s.k, false);
      EXPECT_TRUE(same_bits(y.data() + (batch - 1) * s.n, all.data() + row * s.n, s.n))
          << "row " << row << " of " << batch;
    }
}

TEST(KernelsGemm, WritesNothingPastTheEnd) {
  for (const Table* table : tables())
    for (const int64_t n : {1, 7, 16, 31, 33, 65}) {
      const Floats x = random_floats(5 * 9, 1), w = random_floats(9 * n, 2);
      Floats y(5 * n + 64, 7.0f);
      table->gemm(x.data(), w.data(), nullptr, y.data(), 5, n, 9, false);
      for (size_t i = 5 * n; i < y.size(); ++i) ASSERT_EQ(y[i], 7.0f) << i - 5 * n << " past the end";
    }
}

TEST(KernelsWeightGrad, EachOutputIsTheDocumentedTreeOfChains) {
  for (const std::vector<int32_t>& lengths : kSequenceLengths) {
    const std::vector<int32_t> starts = starts_of(lengths);
    const Sequences rows = sequences_of(starts);
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {130, 40}, {17, 65}, {200, 33}}) {
      const Floats a = random_floats(rows.rows() * n, 1), b = random_floats(rows.rows() * k, 2),
                   c = random_floats(n * k, 3);
      const Floats result = run_everywhere([&](const Table& table) {
        Floats out = c;
        table.weight_grad(a.data(), b.data(), out.data(), rows, n, k);
        return out;
      });
      Floats expected = c;
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < k; ++j)
          expected[i * k + j] += *tree_of(rows, [&](int64_t begin, int64_t end) {
            float chain = 0;
            for (int64_t m = begin; m < end; ++m) chain = std::fma(a[m * n + i], b[m * k + j], chain);
            return chain;
          });
      EXPECT_TRUE(same_bits(expected, result)) << lengths.size() << " sequences, " << n << " x " << k;
    }
  }
}

TEST(KernelsWeightGrad, NodesOfTheTreeAddUpToTheWhole) {
  const std::vector<int32_t> starts = starts_of({20, 3, 0, 33, 250, 1, 9});
  const int64_t n = 70, k = 40, cut = starts[4];
  const Floats a = random_floats(starts.back() * n, 1), b = random_floats(starts.back() * k, 2);
  Floats whole(n * k, 0.0f), left = whole, right = whole;
  cpu().weight_grad(a.data(), b.data(), whole.data(), sequences_of(starts), n, k);
  cpu().weight_grad(a.data(), b.data(), left.data(), {starts.data(), 4}, n, k);
  std::vector<int32_t> rest;
  for (size_t i = 4; i < starts.size(); ++i) rest.push_back(starts[i] - starts[4]);
  cpu().weight_grad(a.data() + cut * n, b.data() + cut * k, right.data(), sequences_of(rest), n, k);
  cpu().add(left.data(), right.data(), left.data(), n * k);
  EXPECT_TRUE(same_bits(whole, left));
}

TEST(KernelsPackWeight, GivesPanelsOfSixteenOutputs) {
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {1, 40}, {17, 1}, {16, 16}, {33, 100}, {300, 257}}) {
    const Floats w = random_floats(n * k, 1);
    const Floats panels = run_everywhere([&, n = n, k = k](const Table& table) {
      Floats packed(packed_floats(n, k), 9);
      table.pack_weight(w.data(), packed.data(), n, k);
      return packed;
    });
    ASSERT_EQ(std::ssize(panels), (n + 15) / 16 * 16 * k);
    for (int64_t out = 0; out < (n + 15) / 16 * 16; ++out)
      for (int64_t in = 0; in < k; ++in)
        ASSERT_EQ(panels[(out / 16 * k + in) * 16 + out % 16], out < n ? w[out * k + in] : 0) << out << ", " << in;
  }
}

TEST(KernelsGemm, APackedWeightGivesTheSameBits) {
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    const Floats x = random_floats(s.m * s.k, 1), weight = random_floats(s.n * s.k, 2), bias = random_floats(s.n, 3);
    Floats w(s.k * s.n);
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t k = 0; k < s.k; ++k) w[k * s.n + n] = weight[n * s.k + k];
    for (const Floats* used_bias : {static_cast<const Floats*>(nullptr), &bias}) {
      const Floats result = run_everywhere([&](const Table& table) {
        Floats out(s.m * s.n, 9), panels(packed_floats(s.n, s.k));
        table.pack_weight(weight.data(), panels.data(), s.n, s.k);
        table.gemm_packed(x.data(), panels.data(), used_bias != nullptr ? bias.data() : nullptr, out.data(), s.m, s.n,
                          s.k);
        return out;
      });
      EXPECT_TRUE(same_bits(gemm_chain(x, w, used_bias, {Floats(s.m * s.n)}, s, false), result));
    }
  }
}

TEST(KernelsDispatch, UnknownInstructionSetIsNull) {
  EXPECT_EQ(cpu_table("sse9"), nullptr);
  EXPECT_NE(cpu_table(cpu().isa), nullptr);
}

}  // namespace
}  // namespace terse::trainer::kernels
