// Compares every policy loss with numbers computed by hand, and its gradient with finite differences. Also tests that
// neither depends on how an update is split.
#include "rl/update/policy_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace terse::rl {
namespace {

using testing::HasSubstr;
using torch::Tensor;

Tensor vector_of(const std::vector<double>& values) {
  return torch::tensor(values, torch::kFloat64);
}

double scalar(const Tensor& tensor) {
  return tensor.item<double>();
}

PolicyLossOptions options_with_limit() {
  PolicyLossOptions options;
  options.max_tokens = 10;
  return options;
}

// A group of G = 4 with advantages 1.5, -.5, -.5, -.5 and these ratios; log-probs are -2 in the first sequence, -1
// elsewhere.
const std::vector<double> kRatios = {1.5, 1.0, 0.5, 1.1, 0.9, 1.0, 0.7, 1.4};
const std::vector<int64_t> kSequences = {0, 0, 1, 2, 2, 2, 3, 3};

PolicyLossInput group_of_four() {
  PolicyLossInput in;
  in.logprob = vector_of({-2, -2, -1, -1, -1, -1, -1, -1}).requires_grad_();
  in.old_logprob = in.logprob.detach() - vector_of(kRatios).log();
  in.advantage = vector_of({1.5, 1.5, -.5, -.5, -.5, -.5, -.5, -.5});
  in.mask = torch::ones({8}, torch::kFloat64);
  in.sequence = torch::tensor(kSequences);
  in.sequences = 4;
  return in;
}

struct ByHand {
  const char* name;
  double sum, count, clipped_low, clipped_high;
};

// Clipped terms -min(r A, clip(r) A): -1.92, -1.5 | .4 | .55, .45, .5 | .4, .7.
const ByHand kByHand[] = {
    {"grpo", -1.71 + .4 + .5 + .55, 4, 2, 1},
    {"dapo", -3.42 + .4 + 1.5 + 1.1, 8, 2, 1},
    {"dr_grpo", -3.42 + .4 + 1.5 + 1.1, 4 * 10, 2, 1},
    // Sequence ratios sqrt(1.5), .5 (clipped to .8), cbrt(.99), sqrt(.98).
    {"gspo", -1.5 * std::sqrt(1.5) + .4 + .5 * std::cbrt(.99) + .5 * std::sqrt(.98), 4, 1, 0},
    // Weights 1.28, 1 | .8 | 1.1, .9, 1 | .8, 1.28 on -A logprob.
    {"cispo", 3 * 2.28 - .5 * .8 - .5 * 3 - .5 * 2.08, 8, 2, 2},
    {"reinforce", 3 * 2 - .5 * 6, 4, 0, 0},
};

TEST(PolicyLoss, EveryFormMatchesAGroupOfFourComputedByHand) {
  ASSERT_EQ(std::size(kByHand), policy_loss_names().size());
  const PolicyLossInput in = group_of_four();
  const PolicyTotals totals{8, 4};
  for (const ByHand& expected : kByHand) {
    const PolicyLossResult result = policy_loss(expected.name, in, options_with_limit());
    EXPECT_NEAR(scalar(result.sum), expected.sum, 1e-12) << expected.name;
    EXPECT_EQ(policy_loss_count(expected.name, totals, options_with_limit()), expected.count) << expected.name;
    PolicyStats stats;
    stats.add(result.stats);
    EXPECT_EQ(stats.clipped_low, expected.clipped_low) << expected.name;
    EXPECT_EQ(stats.clipped_high, expected.clipped_high) << expected.name;
    EXPECT_DOUBLE_EQ(stats.clip_fraction().value(), (expected.clipped_low + expected.clipped_high) / 8)
        << expected.name;
  }
}

TEST(PolicyLoss, StatsTellDivergenceFromTheSampler) {
  PolicyStats stats;
  stats.add(policy_loss("grpo", group_of_four(), {}).stats);
  double kl = 0;
  for (const double ratio : kRatios) kl += ratio - 1 - std::log(ratio);
  EXPECT_EQ(stats.tokens, 8);
  EXPECT_NEAR(stats.approx_kl().value(), kl / 8, 1e-12);
  EXPECT_NEAR(stats.max_deviation, 0.5, 1e-12);
  stats.add(policy_loss("grpo", group_of_four(), {}).stats);
  EXPECT_EQ(stats.tokens, 16);
  EXPECT_NEAR(stats.approx_kl().value(), kl / 8, 1e-12);
}

TEST(PolicyLoss, GradientsMatchFiniteDifferences) {
  constexpr double kStep = 1e-6;
  for (const std::string& name : policy_loss_names()) {
    if (name == "cispo") continue;  // its weight is held fixed: see the next test
    PolicyLossInput in = group_of_four();
    policy_loss(name, in, options_with_limit()).sum.backward();
    const Tensor gradient = in.logprob.grad();
    for (int64_t i = 0; i < 8; ++i) {
      const auto at = [&](double offset) {
        PolicyLossInput moved = in;
        moved.logprob = in.logprob.detach().clone();
        moved.logprob[i] += offset;
        return scalar(policy_loss(name, moved, options_with_limit()).sum);
      };
      EXPECT_NEAR(scalar(gradient[i]), (at(kStep) - at(-kStep)) / (2 * kStep), 1e-8) << name << " token " << i;
    }
  }
}

TEST(PolicyLoss, CispoGivesEveryTokenAGradientOfItsClippedWeight) {
  const PolicyLossInput in = group_of_four();
  policy_loss("cispo", in, {}).sum.backward();
  const Tensor expected = -(vector_of(kRatios).clamp(0.8, 1.28) * in.advantage);
  EXPECT_TRUE(torch::allclose(in.logprob.grad(), expected, 0, 1e-12)) << in.logprob.grad();
}

TEST(PolicyLoss, ClippingRemovesTheGradientOnlyOnTheSideThatWouldGoFurther) {
  // Ratio far above, far above, far below, far below; advantage positive, negative, positive, negative.
  PolicyLossInput in;
  in.logprob = torch::full({4}, -1.0, torch::kFloat64).requires_grad_();
  in.old_logprob = in.logprob.detach() - vector_of({2, 2, .5, .5}).log();
  in.advantage = vector_of({1, -1, 1, -1});
  in.mask = torch::ones({4});
  in.sequence = torch::arange(4);
  in.sequences = 4;
  for (const char* name : {"grpo", "dapo", "dr_grpo", "gspo"}) {
    in.logprob.mutable_grad() = Tensor();
    policy_loss(name, in, options_with_limit()).sum.backward();
    EXPECT_TRUE(torch::allclose(in.logprob.grad(), vector_of({0, 2, -.5, 0}))) << name << in.logprob.grad();
  }
}

TEST(PolicyLoss, AtARatioOfOneEveryFormHasTheReinforceGradient) {
  for (const std::string& name : policy_loss_names()) {
    PolicyLossInput in = group_of_four();
    in.logprob = in.logprob.detach().to(torch::kFloat32).requires_grad_();
    in.old_logprob = in.logprob.detach().clone();
    const PolicyLossResult result = policy_loss(name, in, options_with_limit());
    result.sum.backward();
    const bool mean_per_sequence = name == "grpo" || name == "gspo";
    const Tensor scale = mean_per_sequence ? vector_of({.5, .5, 1, 1. / 3, 1. / 3, 1. / 3, .5, .5}) : torch::ones({8});
    const Tensor expected = -(in.advantage * scale).to(torch::kFloat32);
    EXPECT_TRUE(torch::allclose(in.logprob.grad(), expected, 0, 1e-7)) << name << in.logprob.grad();
    PolicyStats stats;
    stats.add(result.stats);
    EXPECT_EQ(stats.max_deviation, 0) << name << ": the ratio must be exactly 1";
    EXPECT_EQ(stats.kl_sum, 0) << name;
    EXPECT_EQ(stats.clip_fraction(), 0) << name;
  }
}

// Eight sequences of 1, 2, 3, 4, 1, ... tokens. The tiny policy is a softmax over 5 symbols for each row of `weight`.
struct TinyUpdate {
  Tensor weight = torch::randn({12, 5}).requires_grad_();
  std::vector<int64_t> starts = {0};
  Tensor rows, symbols, old_logprob, advantage, mask;

  TinyUpdate() {
    for (int64_t i = 0; i < 8; ++i) starts.push_back(starts.back() + 1 + (i * 5) % 4);
    const int64_t tokens = starts.back();
    rows = torch::randint(12, {tokens}, torch::kInt64);
    symbols = torch::randint(5, {tokens}, torch::kInt64);
    old_logprob = logprob(0, tokens).detach() + 0.3 * torch::randn({tokens});
    advantage = torch::empty({tokens});
    mask = (torch::rand({tokens}) < 0.8).to(torch::kFloat32);
    for (int64_t i = 0; i < 8; ++i) advantage.slice(0, starts[i], starts[i + 1]).fill_(i % 3 - 0.8);
    mask.slice(0, starts[2], starts[3]).zero_();  // a rollout that was left out
  }

  Tensor logprob(int64_t from, int64_t to) const {
    const Tensor at = torch::log_softmax(weight, 1).index_select(0, rows.slice(0, from, to));
    return at.gather(1, symbols.slice(0, from, to).unsqueeze(1)).squeeze(1);
  }

  PolicyLossInput micro_batch(int64_t first, int64_t last) const {
    const int64_t from = starts[first], to = starts[last];
    std::vector<int64_t> ids;
    for (int64_t i = first; i < last; ++i) ids.insert(ids.end(), starts[i + 1] - starts[i], i - first);
    return {logprob(from, to),
            old_logprob.slice(0, from, to),
            advantage.slice(0, from, to),
            mask.slice(0, from, to),
            torch::tensor(ids),
            last - first,
            {}};
  }

  PolicyTotals totals() const {
    PolicyTotals all;
    for (int64_t i = 0; i < 8; ++i) {
      const auto trained = static_cast<int64_t>(scalar(mask.slice(0, starts[i], starts[i + 1]).sum()));
      all += {trained, trained > 0 ? 1 : 0};
    }
    return all;
  }

  // Loss and gradient of the update done in micro-batches of `size` sequences.
  std::pair<double, Tensor> run(const std::string& name, int64_t size) {
    const double count = policy_loss_count(name, totals(), options_with_limit());
    weight.mutable_grad() = Tensor();
    double loss = 0;
    for (int64_t i = 0; i < 8; i += size) {
      const Tensor share = policy_loss(name, micro_batch(i, i + size), options_with_limit()).sum / count;
      share.backward();
      loss += scalar(share);
    }
    return {loss, weight.grad().clone()};
  }
};

TEST(PolicyLoss, LossAndGradientDoNotDependOnTheSplitIntoMicroBatches) {
  torch::manual_seed(3);
  TinyUpdate update;
  for (const std::string& name : policy_loss_names()) {
    const auto [loss, gradient] = update.run(name, 8);
    EXPECT_GT(scalar(gradient.abs().max()), 1e-4) << name;
    for (const int64_t size : {4, 2, 1}) {
      const auto [split_loss, split_gradient] = update.run(name, size);
      EXPECT_NEAR(split_loss, loss, 1e-6) << name << " in micro-batches of " << size;
      EXPECT_LT(scalar((split_gradient - gradient).abs().max()), 1e-6) << name << " in micro-batches of " << size;
    }
  }
}

TEST(PolicyLoss, MaskedTokensChangeNothingWhateverTheyHold) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const PolicyLossInput in = group_of_four();
  for (const std::string& name : policy_loss_names()) {
    in.logprob.mutable_grad() = Tensor();
    const PolicyLossResult clean = policy_loss(name, in, options_with_limit());
    clean.sum.backward();
    // Adds a masked token to a sequence, and a fifth sequence that is masked entirely.
    PolicyLossInput more = in;
    more.logprob = torch::cat({in.logprob.detach(), vector_of({nan, -infinity, 0})}).requires_grad_();
    more.old_logprob = torch::cat({in.old_logprob, vector_of({0, nan, -infinity})});
    more.advantage = torch::cat({in.advantage, vector_of({nan, 5, infinity})});
    more.mask = torch::cat({in.mask, vector_of({0, 0, 0})});
    more.sequence = torch::cat({in.sequence, torch::tensor({int64_t{2}, int64_t{4}, int64_t{4}})});
    more.sequences = 5;
    more.weight = torch::cat({torch::ones({8}), torch::full({3}, nan)});
    const PolicyLossResult result = policy_loss(name, more, options_with_limit());
    result.sum.backward();
    EXPECT_EQ(scalar(result.sum), scalar(clean.sum)) << name;
    EXPECT_TRUE(torch::equal(result.stats.slice(0, 0, 4), clean.stats)) << name << result.stats;
    EXPECT_TRUE(torch::equal(result.stats[4], torch::zeros({6}, torch::kFloat64))) << name << result.stats;
    EXPECT_TRUE(torch::equal(more.logprob.grad().slice(0, 0, 8), in.logprob.grad())) << name;
    EXPECT_TRUE(torch::equal(more.logprob.grad().slice(0, 8), torch::zeros({3}, torch::kFloat64))) << name;
  }
}

TEST(PolicyLoss, AnEntirelyMaskedMicroBatchIsZeroAndCanStillGoBackward) {
  for (const std::string& name : policy_loss_names()) {
    PolicyLossInput in = group_of_four();
    in.mask = torch::zeros({8}, torch::kBool);
    const double count = policy_loss_count(name, {}, options_with_limit());
    EXPECT_GE(count, 1) << name;
    const PolicyLossResult result = policy_loss(name, in, options_with_limit());
    (result.sum / count).backward();
    EXPECT_EQ(scalar(result.sum), 0) << name;
    EXPECT_EQ(scalar(in.logprob.grad().abs().sum()), 0) << name;
    PolicyStats stats;
    stats.add(result.stats);
    EXPECT_EQ(stats.clip_fraction(), std::nullopt) << "a share of no token";
    EXPECT_EQ(stats.approx_kl(), std::nullopt);
  }
}

TEST(PolicyLoss, AMicroBatchWithoutTokensIsZero) {
  const Tensor none = torch::zeros({0});
  for (const std::string& name : policy_loss_names()) {
    const PolicyLossInput in = {none, none, none, none, torch::zeros({0}, torch::kInt64), 0, {}};
    EXPECT_EQ(scalar(policy_loss(name, in, options_with_limit()).sum), 0) << name;
  }
}

TEST(PolicyLoss, ZeroAdvantageGivesZeroGradient) {
  for (const std::string& name : policy_loss_names()) {
    PolicyLossInput in = group_of_four();
    in.advantage = torch::zeros({8}, torch::kFloat64);
    policy_loss(name, in, options_with_limit()).sum.backward();
    EXPECT_EQ(scalar(in.logprob.grad().abs().max()), 0) << name;
  }
}

TEST(PolicyLoss, TokensMayStandInAnyOrder) {
  const PolicyLossInput in = group_of_four();
  const Tensor order = torch::tensor(std::vector<int64_t>{6, 3, 0, 2, 5, 7, 1, 4});
  PolicyLossInput mixed = in;
  for (Tensor* tensor : {&mixed.logprob, &mixed.old_logprob, &mixed.advantage, &mixed.mask, &mixed.sequence}) {
    *tensor = tensor->index_select(0, order);
  }
  for (const std::string& name : policy_loss_names()) {
    EXPECT_NEAR(scalar(policy_loss(name, mixed, options_with_limit()).sum),
                scalar(policy_loss(name, in, options_with_limit()).sum), 1e-12)
        << name;
  }
}

TEST(PolicyLoss, TokenWeightsMultiplyTermsButNotCounts) {
  for (const std::string& name : policy_loss_names()) {
    PolicyLossInput in = group_of_four();
    const double plain = scalar(policy_loss(name, in, options_with_limit()).sum);
    in.weight = torch::full({8}, 0.5);
    EXPECT_NEAR(scalar(policy_loss(name, in, options_with_limit()).sum), plain / 2, 1e-12) << name;
  }
}

TEST(PolicyLoss, LowPrecisionLogProbsAreComputedInFp32) {
  PolicyLossInput in = group_of_four();
  in.logprob = in.logprob.detach().to(torch::kBFloat16).requires_grad_();
  EXPECT_EQ(policy_loss("grpo", in, {}).sum.scalar_type(), torch::kFloat32);
}

template <typename Call>
void expect_refused(Call call, const std::string& mentions) {
  try {
    call();
    ADD_FAILURE() << "accepted; expected a complaint about " << mentions;
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(mentions));
  }
}

TEST(PolicyLoss, MistakesAreNamed) {
  const auto with = [](auto&& change) {
    PolicyLossInput in = group_of_four();
    change(in);
    return [in] { policy_loss("grpo", in, {}); };
  };
  expect_refused(with([](auto& in) { in.advantage = torch::zeros({7}); }), "advantage has 7 entries");
  expect_refused(with([](auto& in) { in.mask = torch::ones({8, 1}); }), "mask has 8 entries in 2 dimensions");
  expect_refused(with([](auto& in) { in.old_logprob = Tensor(); }), "old_logprob is missing");
  expect_refused(with([](auto& in) { in.sequence = in.sequence.to(torch::kInt32); }), "sequence must be int64");
  expect_refused(with([](auto& in) { in.sequences = 0; }), "0 sequences for 8 tokens");
  expect_refused([] { policy_loss("ppo", group_of_four(), {}); }, "unknown policy loss 'ppo'; known: grpo, dapo");
  expect_refused([] { policy_loss_count("ppo", {}, {}); }, "unknown policy loss 'ppo'");
  expect_refused([] { policy_loss_count("dr_grpo", {8, 4}, {}); }, "dr_grpo needs max_tokens");
  expect_refused([] { policy_loss("grpo", group_of_four(), {.clip_low = -0.1}); }, "clip_low is -0.1");
  expect_refused([] { policy_loss("grpo", group_of_four(), {.clip_low = std::nan("")}); }, "clip_low is nan");
}

}  // namespace
}  // namespace terse::rl
