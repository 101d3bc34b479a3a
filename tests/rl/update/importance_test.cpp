// Tests the split of a stale token's ratio on numbers computed by hand, and its effect on an update.
#include "rl/update/importance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rl/update/policy_update.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

// Two tokens of one rollout with ratios 3 and 1.5 to the sampler; the cap is 2.
TEST(Importance, StaleTokensAreWeightedByTheirCappedRatioAndNotClipped) {
  PolicyLossInput input;
  input.logprob = torch::tensor({std::log(0.6f), std::log(0.3f)}).requires_grad_(true);
  input.old_logprob = torch::tensor({std::log(0.2f), std::log(0.2f)});
  input.advantage = torch::tensor({1.0f, 1.0f});
  input.mask = torch::ones({2});
  input.sequence = torch::zeros({2}, torch::kInt64);
  input.sequences = 1;
  const PolicyLossOptions clip{0.2, 0.28, 0};
  // No token is stale: both ratios lie above 1.28, so the loss clips both and the gradient is 0.
  policy_loss("dapo", input, clip).sum.backward();
  EXPECT_TRUE(torch::equal(input.logprob.grad(), torch::zeros({2})));

  // The first token is stale: its gradient is -weight * A, with weight min(3, 2).
  correct_stale(input, torch::tensor({true, false}), 2.0);
  EXPECT_TRUE(torch::equal(input.weight, torch::tensor({2.0f, 1.0f})));
  EXPECT_TRUE(torch::equal(input.old_logprob, torch::tensor({std::log(0.6f), std::log(0.2f)})));
  policy_loss("dapo", input, clip).sum.backward();
  EXPECT_TRUE(torch::allclose(input.logprob.grad(), torch::tensor({-2.0f, 0.0f})));

  // Below the cap the weight is the ratio itself.
  input.logprob.mutable_grad() = torch::Tensor();
  input.old_logprob = torch::tensor({std::log(0.2f), std::log(0.2f)});
  correct_stale(input, torch::tensor({true, true}), 2.0);
  policy_loss("dapo", input, clip).sum.backward();
  EXPECT_TRUE(torch::allclose(input.logprob.grad(), torch::tensor({-2.0f, -1.5f})));
}

class StaleUpdate : public ::testing::Test {
 protected:
  // Rollouts with the model's own log-probs, marked as sampled by weights `version`.
  RolloutGroup group(int64_t version) {
    RolloutGroup made;
    made.problem.prompt = {1, 2, 3};
    for (int64_t sample = 0; sample < 2; ++sample) {
      Rollout rollout;
      rollout.tokens = {static_cast<int32_t>(4 + sample), 5, 6};
      const data::Batch batch = data::pack({data::prompt_and_response(made.problem.prompt, rollout.tokens)});
      const torch::Tensor logprob =
          model.logprobs(batch, batch.weights.nonzero().squeeze(1)).logprob.detach().contiguous();
      rollout.logprobs.assign(logprob.data_ptr<float>(), logprob.data_ptr<float>() + 3);
      rollout.entropies.assign(3, 1.0f);
      rollout.versions.assign(3, version);
      rollout.advantage = sample == 0 ? 1 : -1;
      made.rollouts.push_back(std::move(rollout));
    }
    return made;
  }
  UpdateResult update(const RolloutGroup& group) {
    model.params().zero_grad();
    UpdateOptions options;
    options.loss = "grpo";
    options.version = 7;
    options.importance_cap = 2;
    return accumulate_update(model, std::span(&group, 1), {}, options);
  }
  trainer::Transformer model{support::tiny_spec(), torch::kCPU, 31};
};

TEST_F(StaleUpdate, WithTheSamplersOwnWeightsTheCorrectionChangesNothing) {
  const UpdateResult none = update(group(7));
  EXPECT_EQ(none.stale_tokens, 0);
  EXPECT_EQ(none.importance_mean, std::nullopt) << "a mean over no stale token";
  EXPECT_EQ(none.importance_capped, std::nullopt);
  const torch::Tensor fresh = model.params().grad().clone();
  const UpdateResult stale = update(group(5));
  EXPECT_EQ(stale.stale_tokens, 6);
  EXPECT_EQ(stale.importance_mean, 1);
  EXPECT_EQ(stale.importance_capped, 0);
  EXPECT_TRUE(torch::equal(model.params().grad(), fresh));
}

TEST_F(StaleUpdate, OtherLogProbsOfTheSamplerWeightTheGradient) {
  RolloutGroup fresh = group(7), stale = group(6);
  update(fresh);
  const torch::Tensor plain = model.params().grad().clone();
  for (Rollout& rollout : stale.rollouts)
    for (float& logprob : rollout.logprobs) logprob -= std::log(1.5f);  // the sampler found every token less likely
  const UpdateResult result = update(stale);
  EXPECT_NEAR(result.importance_mean.value(), 1.5, 1e-5);
  EXPECT_EQ(result.logp_diff_max, std::nullopt) << "it tells of tokens that are not stale, and all are";
  EXPECT_EQ(result.logp_diff_mean, std::nullopt);
  const auto largest = [](const torch::Tensor& values) { return values.abs().max().item<double>(); };
  EXPECT_LT(largest(model.params().grad() - 1.5 * plain), 1e-5 * largest(plain));
  for (Rollout& rollout : stale.rollouts) rollout.logprobs[0] -= 5;
  EXPECT_NEAR(update(stale).importance_capped.value(), 1.0 / 3, 1e-9);
}

}  // namespace
}  // namespace terse::rl
