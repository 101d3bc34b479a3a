// One optimizer update from rollout groups and supervised replay.
#pragma once

#include <span>
#include <vector>

#include "data/pack.h"
#include "rl/policy_loss.h"
#include "rl/types.h"
#include "trainer/optimizer.h"
#include "trainer/session.h"

namespace terse::rl {

struct UpdateOptions {
  std::string loss;  // rl.loss
  PolicyLossOptions policy;
  trainer::LogitTransform transform;  // what the rollouts were sampled with
  double entropy_weight = 0;
  int64_t micro_batch = 0;  // rollouts per forward pass; 0: all
  double replay_weight = 0;
  int64_t version = 0;        // of the weights before the first update of the batch: older tokens are stale
  double importance_cap = 1;  // largest importance weight of a stale token
};

// A mean over nothing has no value.
struct UpdateResult {
  std::optional<double> policy_loss;  // nothing where no rollout was verified
  std::optional<double> replay_loss;  // mean negative log-likelihood of the replayed traces' tokens
  std::optional<double> entropy;      // mean over trained response tokens, nats
  // |learner's - sampler's| log-probability of tokens that are not stale; meaningful on the first update of a batch.
  std::optional<double> logp_diff_max, logp_diff_mean;
  double stale_tokens = 0;                  // trained tokens that older weights sampled
  std::optional<double> importance_mean;    // of the importance weights of these
  std::optional<double> importance_capped;  // share of them at the cap
  int64_t tokens = 0;                       // packed tokens that went through the model
  PolicyStats stats;
};

// Every rank gives all groups, computes its share, and gets the whole result.
// Adds the gradient of policy loss - entropy_weight * entropy + replay_weight * replay loss to the model's. Rollouts
// with advantage 0 count in the denominators and are not run.
UpdateResult accumulate_update(trainer::Transformer& model, std::span<const RolloutGroup> groups,
                               const std::vector<data::Sequence>& replay, const UpdateOptions& options);

}  // namespace terse::rl
