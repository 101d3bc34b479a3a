// Group-relative advantages: how much better a rollout did than the other rollouts of its prompt.
//
//   centred_i = reward_i - mean of the group
//   none:   A_i = centred_i                                       (Dr. GRPO, arXiv 2503.20783)
//   group:  A_i = centred_i / (std of the group's rewards + eps)  (GRPO, arXiv 2402.03300)
//   batch:  A_i = centred_i / (std of all centred rewards + eps)  (DLER, arXiv 2510.15110)
//
// Standard deviations are unbiased and cover the counted rollouts only. The test whether the rewards of a group differ
// uses max - min instead: dividing rounding errors by their own deviation would invent a signal.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rl/types.h"

namespace terse::rl {

enum class AdvantageNorm { kBatch, kGroup, kNone };

std::vector<std::string> advantage_norm_names();
// Parses batch, group or none. Throws std::invalid_argument naming the known names for any other.
AdvantageNorm parse_advantage_norm(std::string_view name);

struct AdvantageStats {
  int64_t counted = 0;                // rollouts that baselines and deviations are made of
  int64_t left_out = 0;               // rollouts whose verification timed out or failed
  int64_t nonfinite = 0;              // rollouts whose reward was NaN or infinite; also in left_out
  int64_t uniform_groups = 0;         // groups without a signal: counted rewards all equal, or fewer than two
  int64_t correct = 0;                // counted rollouts with the raw outcome right
  int64_t correct_negative = 0;       // correct rollouts with a negative advantage
  std::optional<double> reward_mean;  // over the counted rollouts
  std::optional<double> reward_std;   // mean of the unbiased standard deviations of the groups with two or more counted
};

// Sets Rollout::advantage from Rollout::reward in every group; groups may differ in size. Left-out rollouts, singletons
// and uniform groups get 0. A rollout whose reward is not finite gets status kError and reward 0, as if its verifier
// had failed.
AdvantageStats compute_advantages(std::vector<RolloutGroup>& groups, AdvantageNorm norm);

}  // namespace terse::rl
