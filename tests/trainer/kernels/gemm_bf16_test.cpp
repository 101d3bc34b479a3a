// Checks products of bf16 factors with sums in the order that kernels.h gives, and how numbers are rounded to bf16.
#include <c10/util/BFloat16.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/trainer/kernels/support.h"

namespace terse::trainer::kernels {
namespace {

using Halves = std::vector<Bf16>;

struct Sizes {
  int64_t m, n, k;
};
const Sizes kSizes[] = {{1, 1, 1},     {1, 129, 7},  {2, 100, 33}, {5, 17, 1},    {12, 32, 8},   {13, 33, 192},
                        {24, 16, 193}, {25, 47, 50}, {96, 7, 385}, {101, 96, 64}, {200, 31, 40}, {40, 200, 401}};

Halves random_halves(int64_t count, uint64_t seed) {
  const Floats floats = random_floats(count, seed);
  Halves halves(floats.size());
  cpu().round_to_bf16(floats.data(), halves.data(), count);
  return halves;
}

Floats widen(const Halves& halves) {
  Floats floats(halves.size());
  for (size_t i = 0; i < halves.size(); ++i) {
    const uint32_t bits = uint32_t{halves[i]} << 16;
    std::memcpy(&floats[i], &bits, sizeof bits);
  }
  return floats;
}

TEST(KernelsBf16, RoundsToNearestAndTiesToEven) {
  Floats x = random_floats(1000, 3);
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float special : {0.0f, -0.0f, inf, -inf, nan, 1e-45f, -1e-40f, 1.17549435e-38f, 3.4e38f, 1.00390625f,
                              1.01171875f, 65504.0f, std::numeric_limits<float>::max()})
    x.push_back(special);
  for (uint32_t bits : {0x7f800001u, 0xff8fffffu, 0x3f808000u, 0x3f818000u, 0x3f808001u, 0x3f807fffu}) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    x.push_back(value);
  }
  for (const Table* table : tables()) {
    Halves rounded(x.size() + 1, 7);
    table->round_to_bf16(x.data(), rounded.data(), std::ssize(x));
    EXPECT_EQ(rounded.back(), 7) << "nothing behind the end is written";
    for (size_t i = 0; i < x.size(); ++i) {
      if (x[i] != x[i]) {
        EXPECT_TRUE((rounded[i] & 0x7f80) == 0x7f80 && (rounded[i] & 0x7f) != 0) << i << " remains no number";
      } else {
        EXPECT_EQ(rounded[i], c10::BFloat16(x[i]).x) << i << ": " << x[i] << " with " << table->isa;
      }
    }
  }
}

TEST(KernelsBf16, RoundsRowsInPlace) {
  constexpr int64_t kRows = 5, kCols = 21, kStride = 30;
  const Floats x = random_floats(kRows * kStride, 3);
  Floats expected = x;
  for (int64_t row = 0; row < kRows; ++row)
    for (int64_t col = 0; col < kCols; ++col) {
      float& value = expected[row * kStride + col];
      value = static_cast<float>(c10::BFloat16(value));
    }
  for (const Table* table : tables()) {
    Floats rows = x;
    table->round_rows(rows.data(), kRows, kCols, kStride);
    EXPECT_EQ(rows, expected) << table->isa;
  }
}

// The chain over `count` products of a[p * a_step] and b[p * b_step], from `sum` on: the odd one of each pair first.
float chain(float sum, const float* a, int64_t a_step, const float* b, int64_t b_step, int64_t count) {
  for (int64_t p = 0; p < count; p += 2) {
    sum = p + 1 < count ? std::fma(a[(p + 1) * a_step], b[(p + 1) * b_step], sum) : sum + 0.0f;
    sum = std::fma(a[p * a_step], b[p * b_step], sum);
  }
  return sum;
}

TEST(KernelsBf16, ProductsAreChains) {
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    const Halves x = random_halves(s.m * s.k, 1), w = random_halves(s.k * s.n, 2);
    const Floats y = random_floats(s.m * s.n, 4), wide_x = widen(x), wide_w = widen(w);
    for (const bool accumulate : {false, true}) {
      Floats expected = y;
      for (int64_t i = 0; i < s.m; ++i)
        for (int64_t j = 0; j < s.n; ++j) {
          float& out = expected[i * s.n + j];
          out = chain(accumulate ? out : 0, &wide_x[i * s.k], 1, &wide_w[j], s.n, s.k);
        }
      EXPECT_TRUE(same_bits(expected, run_everywhere([&](const Table& table) {
                              Floats out = y;
                              table.gemm_bf16(x.data(), w.data(), out.data(), s.m, s.n, s.k, accumulate);
                              return out;
                            })));
    }
  }
}

TEST(KernelsBf16, PackedProductsAreTheSameChains) {
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    const Halves x = random_halves(s.m * s.k, 1), w = random_halves(s.n * s.k, 2);
    const Floats bias = random_floats(s.n, 3), wide_x = widen(x), wide_w = widen(w);
    Floats expected;
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j)
        expected.push_back(chain(bias[j], &wide_x[i * s.k], 1, &wide_w[j * s.k], 1, s.k));
    EXPECT_TRUE(same_bits(expected, run_everywhere([&](const Table& table) {
                            Floats out(s.m * s.n, 9);
                            Halves packed(packed_bf16(s.n, s.k), 9);
                            table.pack_weight_bf16(w.data(), packed.data(), s.n, s.k);
                            table.gemm_packed_bf16(x.data(), packed.data(), bias.data(), out.data(), s.m, s.n, s.k);
                            return out;
                          })));
  }
}

// A weight whose rows are taken apart, as in the gradient of the head.
TEST(KernelsBf16, AProductGoesOnFromASumOfAnEvenNumberOfSteps) {
  const Sizes s = {30, 40, 101};
  const Halves x = random_halves(s.m * s.k, 1), w = random_halves(s.k * s.n, 2);
  const Floats whole = run_everywhere([&](const Table& table) {
    Floats out(s.m * s.n);
    table.gemm_bf16(x.data(), w.data(), out.data(), s.m, s.n, s.k, false);
    return out;
  });
  EXPECT_TRUE(same_bits(whole, run_everywhere([&](const Table& table) {
                          Floats out(s.m * s.n);
                          for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 16}, {16, 96}, {96, 101}}) {
                            Halves part;
                            for (int64_t row = 0; row < s.m; ++row)
                              part.insert(part.end(), &x[row * s.k + begin], &x[row * s.k] + end);
                            table.gemm_bf16(part.data(), &w[begin * s.n], out.data(), s.m, s.n, end - begin, begin > 0);
                          }
                          return out;
                        })));
}

TEST(KernelsBf16, GradientsOfWeightsAreTreesOfChains) {
  for (const std::vector<int32_t>& lengths : kSequenceLengths) {
    const std::vector<int32_t> starts = starts_of(lengths);
    const Sequences rows = sequences_of(starts);
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {130, 40}, {17, 65}, {200, 33}}) {
      const Halves a = random_halves(rows.rows() * n, 1), b = random_halves(rows.rows() * k, 2);
      const Floats c = random_floats(n * k, 3), wide_a = widen(a), wide_b = widen(b);
      Floats expected = c;
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < k; ++j)
          expected[i * k + j] += tree_of(rows, [&, n = n, k = k](int64_t begin, int64_t end) {
                                   return chain(0, &wide_a[begin * n + i], n, &wide_b[begin * k + j], k, end - begin);
                                 }).value_or(0);
      EXPECT_TRUE(same_bits(expected, run_everywhere([&, n = n, k = k](const Table& table) {
                              Floats out = c;
                              table.weight_grad_bf16(a.data(), b.data(), out.data(), rows, n, k);
                              return out;
                            })));
    }
  }
}

TEST(KernelsBf16, SubnormalNumbersCountAsZero) {
  const Halves x = {1, 0x80}, w = {0x3f80, 0x3f00};  // the least number times 1, the least normal number times 1/2
  for (const Table* table : tables()) {
    for (size_t i = 0; i < x.size(); ++i) {
      Floats out(1, 1);
      table->gemm_bf16(&x[i], &w[i], out.data(), 1, 1, 1, false);
      EXPECT_EQ(out[0], 0) << table->isa;
    }
  }
}

// Products and sums on both sides of the least normal number. Every instruction set must treat them alike.
TEST(KernelsBf16, TinyNumbersHaveTheSameBitsEverywhere) {
  std::mt19937 random(3);
  const int64_t m = 40, n = 50, k = 7;
  const auto tiny = [&](int64_t count) {  // of about 2^-63
    Halves numbers(static_cast<size_t>(count));
    for (Bf16& number : numbers)
      number = static_cast<Bf16>((60 + random() % 8) << 7 | (random() % 2) << 15 | random() % 128);
    return numbers;
  };
  for (int round = 0; round < 20; ++round) {
    const Halves x = tiny(m * k), w = tiny(k * n);
    Floats out(m * n);
    run_everywhere([&](const Table& table) {
      table.gemm_bf16(x.data(), w.data(), out.data(), m, n, k, false);
      return out;
    });
    const auto zeros = std::count(out.begin(), out.end(), 0.0f);
    EXPECT_TRUE(0 < zeros && zeros < m * n) << zeros;
    for (const float value : out) EXPECT_TRUE(value == 0 || std::abs(value) >= FLT_MIN) << value;
  }
}

}  // namespace
}  // namespace terse::trainer::kernels
