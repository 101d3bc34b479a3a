// Compares AdamW and the sums of squares with plain loops. Cutting the buffer of AdamW at any place must change no bit.
#include "tests/trainer/kernels/support.h"

namespace terse::trainer::kernels {
namespace {

struct State {
  Floats weight, m, v;
};

AdamW update_of(State& state, const Floats& grad, int64_t begin, int64_t count) {
  return {.weight = state.weight.data() + begin,
          .grad = grad.data() + begin,
          .m = state.m.data() + begin,
          .v = state.v.data() + begin,
          .count = count,
          .clip = 0.7,
          .lr = 0.01,
          .beta1 = 0.9,
          .beta2 = 0.95,
          .eps = 1e-8,
          .weight_decay = 0.1,
          .correction1 = 1 - 0.9 * 0.9,
          .correction2 = 1 - 0.95 * 0.95};
}

State start(int64_t count) {
  State state{random_floats(count, 1), random_floats(count, 2, 0.1f), random_floats(count, 3)};
  for (float& v : state.v) v *= v;
  return state;
}

TEST(KernelsAdamW, FollowsTheFormula) {
  const int64_t count = 1003;
  const Floats grad = random_floats(count, 4);
  State expected = start(count);
  std::vector<double> weights;
  for (int64_t i = 0; i < count; ++i) {
    const double g = 0.7 * grad[i];
    const double m = expected.m[i] + 0.1 * (g - expected.m[i]), v = 0.95 * expected.v[i] + 0.05 * g * g;
    weights.push_back(expected.weight[i] * (1 - 0.01 * 0.1) -
                      0.01 / 0.19 * m / (std::sqrt(v / (1 - 0.95 * 0.95)) + 1e-8));
  }
  const Floats result = run_everywhere([&](const Table& table) {
    State state = start(count);
    table.adamw(update_of(state, grad, 0, count));
    return state.weight;
  });
  EXPECT_TRUE(close(result, weights, 1e-6));
}

TEST(KernelsAdamW, CuttingTheBufferChangesNoBit) {
  const int64_t count = 1003;
  const Floats grad = random_floats(count, 4);
  State whole = start(count);
  cpu().adamw(update_of(whole, grad, 0, count));
  for (const int64_t cut : {1, 15, 16, 500, 1002}) {
    State parts = start(count);
    cpu().adamw(update_of(parts, grad, 0, cut));
    cpu().adamw(update_of(parts, grad, cut, count - cut));
    EXPECT_TRUE(same_bits(whole.weight, parts.weight)) << cut;
    EXPECT_TRUE(same_bits(whole.m, parts.m)) << cut;
    EXPECT_TRUE(same_bits(whole.v, parts.v)) << cut;
  }
}

TEST(KernelsSquareSums, AddUpTheSquaresOfEachBlock) {
  for (const int64_t count : {int64_t{1}, int64_t{17}, kSquareBlock, 3 * kSquareBlock + 5}) {
    const Floats x = random_floats(count, 1);
    std::vector<double> expected;
    for (int64_t i = 0; i < count; ++i) {
      if (i % kSquareBlock == 0) expected.push_back(0);
      expected.back() += static_cast<double>(x[i]) * x[i];
    }
    const Floats sums = run_everywhere([&](const Table& table) {
      Floats result(expected.size());
      table.square_sums(x.data(), result.data(), count);
      return result;
    });
    EXPECT_TRUE(close(sums, expected, 1e-5));
  }
}

}  // namespace
}  // namespace terse::trainer::kernels
