// Compares one update from rollouts and demonstrations with the same loss of the reference model, which autograd
// differentiates in double. The loss has all parts at once: policy loss, entropy bonus, importance weights,
// demonstrations and their denominators.
#include "rl/update/policy_update.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/references/reference_losses.h"
#include "tests/support/references/reference_model.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

using support::ReferenceModel;
using support::ReferenceSequence;
using torch::Tensor;

constexpr int64_t kVersion = 5;
constexpr double kCap = 1.2;
constexpr double kTemperature = 0.8;

uint32_t word(uint64_t a, uint64_t b) {
  return philox(77, RandomStream::kShuffle, a, b)[0];
}

class PolicyUpdate : public ::testing::TestWithParam<std::string> {
 protected:
  // Makes three groups of four rollouts of several lengths, with advantages of both signs. One rollout teaches nothing,
  // one could not be verified, some have tokens that older weights sampled, and two have tokens in
  // the middle that something else appended.
  PolicyUpdate() {
    torch::NoGradGuard no_grad;
    Tensor& weights = model.params().master();
    weights.add_(0.02 * torch::sin(torch::arange(weights.numel())));  // so that norms differ from 1 and biases from 0
    model.params().publish();
    for (uint64_t g = 0; g < 3; ++g) {
      RolloutGroup group;
      for (uint64_t i = 0; i < 3 + g; ++i)
        group.problem.prompt.push_back(static_cast<int32_t>(uniform_below(word(g, i), 16)));
      for (uint64_t sample = 0; sample < 4; ++sample) {
        const uint64_t key = 100 + 10 * g + sample;
        Rollout rollout;
        const int64_t length = 2 + static_cast<int64_t>(uniform_below(word(key, 0), 7));
        const bool stale = sample == 1;
        for (int64_t t = 0; t < length; ++t) {
          const auto at = static_cast<uint64_t>(t);
          rollout.tokens.push_back(static_cast<int32_t>(uniform_below(word(key, 1 + at), 16)));
          rollout.versions.push_back(stale && t < 2 ? kVersion - 1 : kVersion);
        }
        rollout.advantage = (sample % 2 == 0 ? 1.0 : -0.75) * (1 + 0.5 * static_cast<double>(g));
        if (g == 1 && sample == 2) rollout.advantage = 0;
        if (g == 2 && sample == 3) rollout.status = VerifyStatus::kError;
        if (sample == 0 && g < 2) {
          rollout.sampled.assign(rollout.tokens.size(), 1);
          rollout.sampled[1] = 0;
        }
        rollout.entropies.assign(rollout.tokens.size(), 0);
        group.rollouts.push_back(std::move(rollout));
      }
      groups.push_back(std::move(group));
    }
    // The sampler's log-probs lie around the current ones, so that ratios fall below, between and above the bounds.
    const ReferenceModel reference = present();
    for (size_t g = 0; g < groups.size(); ++g) {
      for (size_t i = 0; i < groups[g].rollouts.size(); ++i) {
        Rollout& rollout = groups[g].rollouts[i];
        const Tensor all = distributions(reference, groups[g].problem, rollout);
        for (size_t t = 0; t < rollout.tokens.size(); ++t) {
          const double now = all[static_cast<int64_t>(t)][rollout.tokens[t]].item<double>();
          const double noise = uniform01(word(1000 + 10 * g + i, t)) - 0.5;
          rollout.logprobs.push_back(static_cast<float>(now - noise));
        }
      }
    }
    options.loss = GetParam();
    options.policy = {0.2, 0.28, 30};
    options.transform.temperature = kTemperature;
    options.entropy_weight = 0.3;
    options.demonstration_weight = 0.5;
    options.version = kVersion;
    options.importance_cap = kCap;
  }

  ReferenceModel present() const {
    checkpoints::StateDict state;
    model.save(state);
    return ReferenceModel(model.spec(), state);
  }

  // Log-probs [response tokens, V] of the distributions from which the response tokens were drawn.
  static Tensor distributions(const ReferenceModel& reference, const Problem& problem, const Rollout& rollout) {
    std::vector<int64_t> tokens(problem.prompt.begin(), problem.prompt.end());
    tokens.insert(tokens.end(), rollout.tokens.begin(), rollout.tokens.end());
    const auto first = static_cast<int64_t>(problem.prompt.size()) - 1;
    return (reference.logits(tokens) / kTemperature).log_softmax(-1).slice(0, first, -1);
  }

  // The parts of the loss of an update, and the counts that it divides them by, from the reference model.
  struct Parts {
    double verified = 0, verified_tokens = 0, trained_tokens = 0;
    std::vector<ReferenceSequence> sequences;  // the rollouts that train
    std::vector<Tensor> picked;                // log-probs of their tokens, one tensor for each rollout
    Tensor entropy = torch::zeros({}, torch::kFloat64);
    double stale_tokens = 0, weights = 0, capped = 0, fresh_difference = 0, fresh_largest = 0;

    // `all`: the log-probs of the distributions from which the tokens were drawn, [response tokens, V].
    void add(const Rollout& rollout, const Tensor& all) {
      if (rollout.status != VerifyStatus::kOk) return;
      verified += 1;
      verified_tokens += static_cast<double>(rollout.length());
      if (rollout.advantage == 0) return;
      trained_tokens += static_cast<double>(rollout.length());
      std::vector<int64_t> tokens, places;  // of the sampled ones
      for (size_t t = 0; t < rollout.tokens.size(); ++t) {
        if (!rollout.is_sampled(t)) continue;
        tokens.push_back(rollout.tokens[t]);
        places.push_back(static_cast<int64_t>(t));
      }
      const Tensor sampled = all.index_select(0, torch::tensor(places));
      entropy = entropy - (sampled.exp() * sampled).sum();
      picked.push_back(sampled.gather(1, torch::tensor(tokens).unsqueeze(1)).squeeze(1));
      ReferenceSequence s;
      s.advantage = rollout.advantage;
      for (size_t t = 0; t < tokens.size(); ++t) {
        const double now = picked.back()[static_cast<int64_t>(t)].item<double>();
        const size_t place = static_cast<size_t>(places[t]);
        const bool stale = rollout.versions[place] < kVersion;
        // The ratio of a stale token to the sampler is a weight. The loss then uses the policy before the update, which
        // is the current one.
        s.logprob.push_back(now);
        s.old_logprob.push_back(stale ? now : rollout.logprobs[place]);
        s.weight.push_back(stale ? std::min(std::exp(now - rollout.logprobs[place]), kCap) : 1.0);
        const double difference = stale ? 0 : std::abs(now - rollout.logprobs[place]);
        fresh_difference += difference;
        fresh_largest = std::max(fresh_largest, difference);
        stale_tokens += stale ? 1 : 0;
        weights += stale ? s.weight.back() : 0;
        capped += stale && s.weight.back() == kCap ? 1 : 0;
      }
      sequences.push_back(std::move(s));
    }
  };

  // The tokens and pairs of tokens that pass through the model. Pairs count twice.
  trainer::TokenWork work_with(int64_t sharing) const {
    trainer::TokenWork work;
    for (const RolloutGroup& group : groups) {
      const double prefix = static_cast<double>(group.problem.prompt.size()) - 1;
      int64_t training = 0;
      for (const Rollout& rollout : group.rollouts) {
        if (rollout.status != VerifyStatus::kOk || rollout.advantage == 0) continue;
        ++training;
        const double rows = static_cast<double>(rollout.tokens.size());
        work += {rows, 0, rows * rows + 2 * prefix * rows};
      }
      const auto copies = static_cast<double>((training + sharing - 1) / sharing);
      work += {copies * prefix, 0, copies * prefix * prefix};
    }
    for (const data::Sequence& s : demonstrations) {
      const double length = static_cast<double>(s.tokens.size());
      work += {length, 0, length * length};
    }
    return work;
  }

  Tensor gradient_of(const ReferenceModel& reference) const {
    std::vector<Tensor> parts;
    for (const trainer::ParamInfo& info : model.params().layout().infos)
      parts.push_back(reference.weights().at(info.name).grad().flatten());
    return torch::cat(parts);
  }

  trainer::Transformer model{support::tiny_spec({.qk_norm = true, .qkv_bias = true}), torch::kCPU, 51};
  std::vector<RolloutGroup> groups;
  std::vector<data::Sequence> demonstrations = support::random_sequences({9, 14}, 8);
  UpdateOptions options;
};

TEST_P(PolicyUpdate, IsTheGradientOfTheWholeLoss) {
  const ReferenceModel reference = present();
  Parts parts;
  for (const RolloutGroup& group : groups)
    for (const Rollout& rollout : group.rollouts) parts.add(rollout, distributions(reference, group.problem, rollout));
  const auto policy = support::reference_loss(GetParam(), parts.sequences,
                                              {options.policy.clip_low, options.policy.clip_high,
                                               options.policy.max_tokens, parts.verified, parts.verified_tokens});
  Tensor total = -options.entropy_weight * parts.entropy / parts.verified_tokens;
  for (size_t i = 0; i < parts.picked.size(); ++i)
    total = total + (parts.picked[i] * torch::tensor(policy.gradient[i], torch::kFloat64)).sum();
  Tensor nll = torch::zeros({}, torch::kFloat64);
  double demonstrated = 0;
  for (const data::Sequence& s : demonstrations) {
    const Tensor all = reference.log_probs({s.tokens.begin(), s.tokens.end()});
    for (size_t t = 1; t < s.tokens.size(); ++t) {
      if (s.weights[t] == 0) continue;
      nll = nll - all[static_cast<int64_t>(t) - 1][s.tokens[t]];
      demonstrated += 1;
    }
  }
  (total + options.demonstration_weight * nll / demonstrated).backward();
  const Tensor expected = gradient_of(reference);

  for (const int64_t sharing : {1, 2, 8}) {
    options.prompt_sharing = sharing;
    const trainer::TokenWork work = work_with(sharing);
    Tensor gradient;
    for (const trainer::PassLimit limit : std::vector<trainer::PassLimit>{{}, {1}, {4}, {0, 30}}) {
      SCOPED_TRACE(fmt::format("{} rollouts share a prompt, micro-batches of {} rollouts or {} tokens", sharing,
                               limit.micro_batch, limit.micro_tokens));
      options.limit = limit;
      model.params().zero_grad();
      const UpdateResult result = accumulate_update(model, groups, demonstrations, options);
      model.params().finish_grad();
      if (!gradient.defined()) gradient = model.params().grad().clone();
      EXPECT_TRUE(torch::equal(model.params().grad(), gradient)) << "a limit changes no bit";
      const double difference = (model.params().grad().to(torch::kFloat64) - expected).norm().item<double>();
      const double relative = difference / expected.norm().item<double>();
      RecordProperty("relative_difference", std::to_string(relative));
      EXPECT_LT(relative, 1e-5);
      EXPECT_NEAR(result.policy_loss.value(), policy.loss, 1e-5 * policy.magnitude);
      EXPECT_NEAR(result.demonstration_loss.value(), nll.item<double>() / demonstrated, 1e-5);
      EXPECT_NEAR(result.entropy.value(), parts.entropy.item<double>() / parts.trained_tokens, 1e-5);
      EXPECT_EQ(result.stale_tokens, parts.stale_tokens);
      EXPECT_NEAR(result.importance_mean.value(), parts.weights / parts.stale_tokens, 1e-5);
      EXPECT_EQ(result.importance_capped.value(), parts.capped / parts.stale_tokens);
      EXPECT_NEAR(result.logp_diff_mean.value(), parts.fresh_difference / (parts.trained_tokens - parts.stale_tokens),
                  1e-5);
      EXPECT_NEAR(result.logp_diff_max.value(), parts.fresh_largest, 1e-5);
      EXPECT_EQ(result.work.tokens, work.tokens);
      EXPECT_EQ(result.work.head_rows, parts.trained_tokens + demonstrated);
      EXPECT_EQ(result.work.squared_lengths, work.squared_lengths);
      EXPECT_GT(parts.capped, 0);
      EXPECT_LT(parts.capped, parts.stale_tokens);
    }
  }
}

// The bonus rewards entropy. Without any other loss, a step of gradient descent must raise it.
TEST_P(PolicyUpdate, FollowingTheEntropyBonusRaisesTheEntropy) {
  options.entropy_weight = 1;
  options.demonstration_weight = 0;
  for (RolloutGroup& group : groups)
    for (Rollout& rollout : group.rollouts) rollout.advantage = rollout.advantage == 0 ? 0 : 1e-12;
  model.params().zero_grad();
  const double before = accumulate_update(model, groups, {}, options).entropy.value();
  model.params().finish_grad();
  {
    torch::NoGradGuard no_grad;
    const Tensor gradient = model.params().grad();
    model.params().master().sub_(gradient * (0.02 / gradient.norm()));
    model.params().publish();
  }
  model.params().zero_grad();
  EXPECT_GT(accumulate_update(model, groups, {}, options).entropy.value(), before + 1e-4);
}

TEST_P(PolicyUpdate, WithoutAVerifiedRolloutThereIsNoLossAndNoGradient) {
  for (RolloutGroup& group : groups)
    for (Rollout& rollout : group.rollouts) rollout.status = VerifyStatus::kError;
  model.params().zero_grad();
  const UpdateResult result = accumulate_update(model, groups, {}, options);
  model.params().finish_grad();
  EXPECT_EQ(model.params().grad().count_nonzero().item<int64_t>(), 0);
  for (const auto& value : {result.policy_loss, result.demonstration_loss, result.entropy, result.logp_diff_max,
                            result.logp_diff_mean, result.importance_mean, result.importance_capped})
    EXPECT_EQ(value, std::nullopt);
}

TEST_P(PolicyUpdate, RolloutsThatTeachNothingGiveALossOfZeroAndNothingElse) {
  for (RolloutGroup& group : groups)
    for (Rollout& rollout : group.rollouts) rollout.advantage = 0;
  model.params().zero_grad();
  const UpdateResult result = accumulate_update(model, groups, {}, options);
  EXPECT_EQ(result.policy_loss, 0.0) << "the mean of zeros over verified rollouts";
  EXPECT_EQ(result.entropy, std::nullopt) << "no token was trained";
  EXPECT_EQ(result.stats.approx_kl(), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Losses, PolicyUpdate, ::testing::ValuesIn(policy_loss_names()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace terse::rl
