// Checks that products of bf16 factors have the bits of the fp32 kernels on the same numbers, and how numbers are
// rounded to bf16.
#include <c10/util/BFloat16.h>

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
  for (const char* isa : {"avx512", "avx2"}) {
    const Table* table = cpu_table(isa);
    if (table == nullptr) continue;
    Halves rounded(x.size() + 1, 7);
    table->round_to_bf16(x.data(), rounded.data(), std::ssize(x));
    EXPECT_EQ(rounded.back(), 7) << "nothing behind the end is written";
    for (size_t i = 0; i < x.size(); ++i) {
      if (x[i] != x[i]) {
        EXPECT_TRUE((rounded[i] & 0x7f80) == 0x7f80 && (rounded[i] & 0x7f) != 0) << i << " remains no number";
      } else {
        EXPECT_EQ(rounded[i], c10::BFloat16(x[i]).x) << i << ": " << x[i] << " with " << isa;
      }
    }
  }
}

TEST(KernelsBf16, ProductsHaveTheBitsOfFp32) {
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    const Halves x = random_halves(s.m * s.k, 1), w = random_halves(s.k * s.n, 2);
    const Floats y = random_floats(s.m * s.n, 4);
    for (const bool accumulate : {false, true}) {
      Floats expected = y;
      cpu().gemm(widen(x).data(), widen(w).data(), nullptr, expected.data(), s.m, s.n, s.k, accumulate);
      EXPECT_TRUE(same_bits(expected, run_everywhere([&](const Table& table) {
                              Floats out = y;
                              table.gemm_bf16(x.data(), w.data(), out.data(), s.m, s.n, s.k, accumulate);
                              return out;
                            })));
    }
  }
}

TEST(KernelsBf16, PackedProductsHaveTheBitsOfFp32) {
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    const Halves x = random_halves(s.m * s.k, 1), w = random_halves(s.n * s.k, 2);
    const Floats bias = random_floats(s.n, 3);
    Floats panels(packed_floats(s.n, s.k)), expected(s.m * s.n);
    cpu().pack_weight(widen(w).data(), panels.data(), s.n, s.k);
    cpu().gemm_packed(widen(x).data(), panels.data(), bias.data(), expected.data(), s.m, s.n, s.k);
    EXPECT_TRUE(same_bits(expected, run_everywhere([&](const Table& table) {
                            Floats out(s.m * s.n, 9);
                            Halves packed(packed_floats(s.n, s.k), 9);
                            table.pack_weight_bf16(w.data(), packed.data(), s.n, s.k);
                            EXPECT_EQ(widen(packed), panels);
                            table.gemm_packed_bf16(x.data(), packed.data(), bias.data(), out.data(), s.m, s.n, s.k);
                            return out;
                          })));
  }
}

TEST(KernelsBf16, GradientsOfWeightsHaveTheBitsOfFp32) {
  for (const std::vector<int32_t>& starts : {std::vector<int32_t>{0, 1}, {0, 40, 40, 300, 301}, {0, 7, 9, 500}}) {
    const Sequences rows{starts.data(), std::ssize(starts) - 1};
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {130, 40}, {17, 65}, {200, 33}}) {
      const Halves a = random_halves(rows.rows() * n, 1), b = random_halves(rows.rows() * k, 2);
      const Floats c = random_floats(n * k, 3);
      Floats expected = c;
      cpu().weight_grad(widen(a).data(), widen(b).data(), expected.data(), rows, n, k);
      EXPECT_TRUE(same_bits(expected, run_everywhere([&, n = n, k = k](const Table& table) {
                              Floats out = c;
                              table.weight_grad_bf16(a.data(), b.data(), out.data(), rows, n, k);
                              return out;
                            })));
    }
  }
}

}  // namespace
}  // namespace terse::trainer::kernels
