// Checks which tokens a transform leaves in a row, and that learner and sampler agree about them.
#include "trainer/model/logit_transform.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "trainer/kernels/kernels.h"
#include "trainer/model/ops/ops.h"
#include "trainer/model/ops/ops_aten.h"

namespace terse::trainer {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kDropped = -std::numeric_limits<float>::infinity();

void drop(const LogitTransform& transform, std::vector<float>& row, int64_t keep = -1) {
  cut_rows(transform, row.data(), 1, std::ssize(row), &keep);
}

TEST(Greedy, LeavesTheLikeliestAndOfEqualOnesTheFirst) {
  for (const double temperature : {0.0, 1e-300, 1e-40, 1e-31}) {
    std::vector<float> row = {-1, 3, 2, 3, 0};
    const LogitTransform greedy{.temperature = temperature};
    EXPECT_TRUE(greedy.cuts());
    EXPECT_EQ(cut_rows(greedy, row.data(), 1, 5), 1.0f) << "nothing is left to divide by";
    EXPECT_EQ(row, (std::vector<float>{kDropped, 3, kDropped, kDropped, kDropped})) << temperature;
  }
}

TEST(Greedy, KeepsTheTokenThatWasSampled) {
  std::vector<float> row = {-1, 3, 2, 3, 0};
  drop({.temperature = 0}, row, /*keep=*/2);
  EXPECT_EQ(row, (std::vector<float>{kDropped, 3, 2, kDropped, kDropped}));
}

// At every temperature that is not greedy, the factor is finite and no probability is NaN.
TEST(Temperature, EveryOneThatIsNotGreedyHasAFactorThatFp32Holds) {
  for (double temperature = 0x1p-100; temperature < 200; temperature *= 1.7) {
    const LogitTransform transform{.temperature = temperature};
    ASSERT_FALSE(transform.greedy());
    std::vector<float> row = {-20, 19.9f, 20, 0}, entropy(1), logprob(1), probs;
    const float scale = cut_rows(transform, row.data(), 1, 4);
    ASSERT_TRUE(std::isfinite(scale * 1e6f)) << temperature;
    for (const int64_t token : {0, 1, 2, 3}) {
      kernels::cpu().logprob({.logits = row.data(),
                              .targets = &token,
                              .scale = scale,
                              .rows = 1,
                              .vocab = 4,
                              .logprob = logprob.data(),
                              .entropy = entropy.data()});
      probs.push_back(std::exp(logprob[0]));
    }
    EXPECT_TRUE(std::isfinite(entropy[0])) << temperature;
    // The kernel scales a logit before it subtracts the largest one. So the rounding error is relative to the scaled
    // logit, here 20 / temperature.
    EXPECT_NEAR(probs[0] + probs[1] + probs[2] + probs[3], 1, 1e-3) << temperature;
    EXPECT_GE(probs[2], probs[1]) << temperature;
  }
}

// The row has the probabilities 0.1, 0.6, 0.1, 0.2.
TEST(Cuts, DropWhatTheySay) {
  const std::vector<float> row = {std::log(1.f), std::log(6.f), std::log(1.f), std::log(2.f)};
  const auto kept = [&](const LogitTransform& transform, int64_t keep = -1) {
    std::vector<float> logits = row;
    drop(transform, logits, keep);
    std::vector<int> tokens;
    for (size_t i = 0; i < 4; ++i)
      if (logits[i] != kDropped) tokens.push_back(static_cast<int>(i));
    return tokens;
  };
  EXPECT_EQ(kept({.top_k = 2}), (std::vector<int>{1, 3}));
  EXPECT_EQ(kept({.top_p = 0.5}), (std::vector<int>{1}));
  EXPECT_EQ(kept({.top_p = 0.7}), (std::vector<int>{1, 3}));
  EXPECT_EQ(kept({.min_p = 0.25}), (std::vector<int>{1, 3}));
  EXPECT_EQ(kept({.min_p = 0.5}), (std::vector<int>{1}));
  EXPECT_EQ(kept({.top_k = 1}, /*keep=*/2), (std::vector<int>{1, 2}));
  EXPECT_EQ(kept({.top_k = 3}), (std::vector<int>{0, 1, 2, 3})) << "ties at a cut are kept";
}

// The same three cuts on the row in descending order, as their definitions say, in double precision.
float lowest_by_sorting(const LogitTransform& transform, std::vector<float> row) {
  std::sort(row.begin(), row.end(), std::greater<>());
  size_t kept = row.size();
  if (transform.top_k > 0) kept = std::min(kept, static_cast<size_t>(transform.top_k));
  const auto mass = [&](size_t i) { return std::exp((static_cast<double>(row[i]) - row[0]) / transform.temperature); };
  if (transform.top_p < 1) {
    double total = 0, sum = 0;
    for (size_t i = 0; i < kept; ++i) total += mass(i);
    size_t n = 0;
    while (n < kept && sum < transform.top_p * total) sum += mass(n++);
    kept = n;
  }
  const double by_min_p = transform.min_p > 0 ? row[0] + std::log(transform.min_p) * transform.temperature : kDropped;
  return std::max(row[kept - 1], static_cast<float>(by_min_p));
}

TEST(Cuts, OfALargeVocabularyKeepWhatSortingKeeps) {
  torch::manual_seed(8);
  const int64_t vocab = 20'000;
  for (const double spread : {0.01, 1.0, 4.0, 30.0}) {
    const torch::Tensor logits = torch::randn({vocab}) * spread + 3;
    std::vector<float> row(logits.data_ptr<float>(), logits.data_ptr<float>() + vocab);
    row[7] = kDropped;
    for (const LogitTransform& transform :
         {LogitTransform{.top_k = 1}, LogitTransform{.top_k = 50}, LogitTransform{.top_k = 19'999},
          LogitTransform{.top_k = 1 << 20}, LogitTransform{.top_p = 0.1}, LogitTransform{.top_p = 0.95},
          LogitTransform{.temperature = 0.01, .top_p = 0.9}, LogitTransform{.temperature = 50, .top_p = 0.5},
          LogitTransform{.temperature = 0.8, .top_k = 200, .top_p = 0.7}, LogitTransform{.min_p = 0.02},
          LogitTransform{.temperature = 1.5, .top_k = 1000, .top_p = 0.9, .min_p = 0.001}}) {
      SCOPED_TRACE(fmt::format("spread {}, T {}, top-k {}, top-p {}, min-p {}", spread, transform.temperature,
                               transform.top_k, transform.top_p, transform.min_p));
      const float lowest = lowest_by_sorting(transform, row);
      std::vector<float> cut_row = row;
      drop(transform, cut_row);
      const auto kept = [](const std::vector<float>& of) {
        return std::count_if(of.begin(), of.end(), [](float logit) { return logit != kDropped; });
      };
      const auto expected =
          std::count_if(row.begin(), row.end(), [&](float logit) { return logit != kDropped && logit >= lowest; });
      // The mass of the row is a sum in single precision, so a cut by mass may move by one of many like tokens.
      const double rounding = transform.top_p < 1 && transform.top_k == 0 ? 1 : 0;
      EXPECT_NEAR(static_cast<double>(kept(cut_row)), static_cast<double>(expected), rounding);
      const float smallest = *std::min_element(cut_row.begin(), cut_row.end(), [](float a, float b) {
        return (a == kDropped ? 1e30f : a) < (b == kDropped ? 1e30f : b);
      });
      for (size_t i = 0; i < row.size(); ++i)
        ASSERT_EQ(cut_row[i], row[i] >= smallest ? row[i] : kDropped) << "only the largest logits remain";
    }
  }
}

TEST(Cuts, ARowWithANanIsLeftForTheCallerToFind) {
  for (const LogitTransform& transform : {LogitTransform{.temperature = 0}, LogitTransform{.top_k = 2},
                                          LogitTransform{.top_p = 0.5}, LogitTransform{.min_p = 0.5}}) {
    for (size_t bad = 0; bad < 4; ++bad) {
      std::vector<float> row = {1, 2, 3, 4};
      row[bad] = kNan;
      drop(transform, row);
      for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(i == bad ? std::isnan(row[i]) : row[i] == static_cast<float>(i + 1));
    }
  }
}

torch::Tensor weight(at::IntArrayRef shape) {
  torch::Tensor w = torch::randn(shape).requires_grad_(true);
  w.mutable_grad() = torch::zeros(shape);
  return w;
}

// A token that is drawn with certainty has log-prob 0, entropy 0 and no gradient, in both implementations of the
// learner.
TEST(Greedy, TheLearnersLogProbOfTheLikeliestIsZeroWithoutAGradient) {
  torch::manual_seed(3);
  const torch::Tensor head = weight({16, 24}), x = torch::randn({40, 24}).requires_grad_(true);
  const torch::Tensor likeliest = std::get<1>(at::linear(x, head).detach().max(1));
  const torch::Tensor sequences = torch::tensor({0, 13, 40}, torch::kInt32);
  for (const double temperature : {0.0, 1e-40}) {
    const LogitTransform transform{.temperature = temperature};
    for (const bool aten : {false, true}) {
      const auto probs = aten ? ops::aten::token_logprobs(x, head, likeliest, transform)
                              : ops::token_logprobs(x, head, likeliest, transform, sequences);
      EXPECT_TRUE(torch::equal(probs.logprob, torch::zeros({40}))) << aten;
      EXPECT_TRUE(torch::equal(probs.entropy, torch::zeros({40}))) << aten;
      (probs.logprob.sum() + probs.entropy.sum()).backward();
      EXPECT_EQ(x.grad().abs().max().item<float>(), 0) << aten;
      EXPECT_EQ(head.grad().abs().max().item<float>(), 0) << aten;
    }
  }
}

// The cuts apply to the unscaled logits. Scaling before the cuts could round two different logits to the same number.
TEST(Cuts, BothLearnersCutTheSameRowsAsTheSampler) {
  torch::manual_seed(4);
  const torch::Tensor x = torch::randn({300, 24}), head = weight({16, 24});
  const torch::Tensor targets = torch::randint(0, 16, {300}, torch::kInt64);
  for (const LogitTransform& transform :
       {LogitTransform{.temperature = 0.37, .top_p = 0.7}, LogitTransform{.temperature = 3, .min_p = 0.3},
        LogitTransform{.temperature = 1e-6, .top_k = 3}}) {
    torch::Tensor logits = at::linear(x, head).detach().clone();
    cut_rows(transform, logits.data_ptr<float>(), 300, 16, targets.data_ptr<int64_t>());
    const torch::Tensor expected =
        at::log_softmax(logits.to(torch::kFloat64) * static_cast<double>(transform.scale()), -1)
            .gather(1, targets.unsqueeze(1))
            .squeeze(1);
    const torch::Tensor ours = ops::aten::token_logprobs(x, head, targets, transform).logprob.detach();
    EXPECT_TRUE(at::allclose(ours.to(torch::kFloat64), expected, 1e-4, 1e-4)) << transform.temperature;
  }
}

}  // namespace
}  // namespace terse::trainer
