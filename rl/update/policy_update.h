// Accumulates the gradient of one optimizer update from rollout groups and supervised demonstrations.
#pragma once

#include <span>
#include <vector>

#include "data/pack.h"
#include "rl/types.h"
#include "rl/update/policy_loss.h"
#include "trainer/gradient_plan.h"
#include "trainer/optimizer.h"
#include "trainer/session.h"
#include "trainer/speed/flops.h"

namespace terse::rl {

struct UpdateOptions {
  std::string loss;  // rl.loss
  PolicyLossOptions policy;
  trainer::LogitTransform transform;  // the transform that the rollouts were sampled with
  double entropy_weight = 0;
  trainer::PassLimit limit;    // in rollouts and tokens
  int64_t prompt_sharing = 1;  // most rollouts behind one copy of their prompt
  double demonstration_weight = 0;
  int64_t version = 0;        // of the weights before the first update of the batch; tokens of older versions are stale
  double importance_cap = 1;  // largest importance weight of a stale token
};

// Means over nothing are empty.
struct UpdateResult {
  std::optional<double> policy_loss;         // empty when no rollout was verified
  std::optional<double> demonstration_loss;  // mean negative log-likelihood of the demonstrations' tokens
  std::optional<double> entropy;             // mean over trained response tokens, nats
  // |learner's - sampler's log-probability| of tokens that are not stale; meaningful on the first update of a batch.
  std::optional<double> logp_diff_max, logp_diff_mean;
  double stale_tokens = 0;                  // trained tokens that older weights sampled
  std::optional<double> importance_mean;    // mean importance weight of the stale tokens
  std::optional<double> importance_capped;  // share of the stale tokens whose weight is at the cap
  trainer::TokenWork work;                  // what went through the model
  PolicyStats stats;
};

// Adds the gradient of policy loss - entropy_weight * entropy + demonstration_weight * demonstration loss to the
// model's gradient. Every rank passes all groups, computes its share, and gets the whole result. Rollouts with
// advantage 0 count in the denominators but do not pass through the model.
//
// The others of a group share copies of their prompt. Such rollouts are one sequence of the batch, which is never
// split, so the bits of the result depend on prompt_sharing, but not on the limit or the number of ranks.
UpdateResult accumulate_update(trainer::Transformer& model, std::span<const RolloutGroup> groups,
                               const std::vector<data::Sequence>& demonstrations, const UpdateOptions& options);

}  // namespace terse::rl
