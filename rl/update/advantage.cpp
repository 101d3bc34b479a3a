// Computes group baselines and normalises the advantages. The formulas are in the header.
#include "rl/update/advantage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "trainer/mean.h"

namespace terse::rl {
namespace {

constexpr double kEps = 1e-6;         // added to a standard deviation before dividing
constexpr double kSameReward = 1e-9;  // rewards closer than this are equal

constexpr std::pair<std::string_view, AdvantageNorm> kNorms[] = {
    {"batch", AdvantageNorm::kBatch}, {"group", AdvantageNorm::kGroup}, {"none", AdvantageNorm::kNone}};

// Resets advantages, turns non-finite rewards into errors, and returns the rollouts that count.
std::vector<Rollout*> counted_rollouts(RolloutGroup& group, AdvantageStats& stats) {
  std::vector<Rollout*> counted;
  for (Rollout& rollout : group.rollouts) {
    rollout.advantage = 0;
    if (rollout.status == VerifyStatus::kOk && !std::isfinite(rollout.reward)) {
      ++stats.nonfinite;
      rollout.status = VerifyStatus::kError;
      rollout.reward = 0;
    }
    if (rollout.status == VerifyStatus::kOk) {
      counted.push_back(&rollout);
    } else {
      ++stats.left_out;
    }
  }
  return counted;
}

// Stores reward - group mean and returns the group's unbiased standard deviation; 0 when the group carries no signal.
double centre(const std::vector<Rollout*>& rollouts) {
  if (rollouts.size() < 2) return 0;
  const auto by_reward = [](const Rollout* a, const Rollout* b) { return a->reward < b->reward; };
  const auto [low, high] = std::minmax_element(rollouts.begin(), rollouts.end(), by_reward);
  if ((*high)->reward - (*low)->reward <= kSameReward) return 0;
  double sum = 0, squares = 0;
  for (const Rollout* rollout : rollouts) sum += rollout->reward;
  const double mean = sum / static_cast<double>(rollouts.size());
  for (Rollout* rollout : rollouts) {
    rollout->advantage = rollout->reward - mean;
    squares += rollout->advantage * rollout->advantage;
  }
  return std::sqrt(squares / static_cast<double>(rollouts.size() - 1));
}

// The centred rewards sum to 0, so their mean is not subtracted again.
void divide_by_deviation(const std::vector<Rollout*>& rollouts) {
  double squares = 0;
  for (const Rollout* rollout : rollouts) squares += rollout->advantage * rollout->advantage;
  if (squares <= 0) return;  // every group was uniform
  const double deviation = std::sqrt(squares / static_cast<double>(rollouts.size() - 1));
  for (Rollout* rollout : rollouts) rollout->advantage /= deviation + kEps;
}

}  // namespace

std::vector<std::string> advantage_norm_names() {
  std::vector<std::string> names;
  for (const auto& [name, norm] : kNorms) names.emplace_back(name);
  return names;
}

AdvantageNorm parse_advantage_norm(std::string_view name) {
  for (const auto& [known, norm] : kNorms) {
    if (known == name) return norm;
  }
  throw std::invalid_argument(
      fmt::format("unknown advantage_norm '{}'; known: {}", name, fmt::join(advantage_norm_names(), ", ")));
}

AdvantageStats compute_advantages(std::vector<RolloutGroup>& groups, AdvantageNorm norm) {
  AdvantageStats stats;
  std::vector<Rollout*> all;
  std::vector<double> deviations;
  double reward_sum = 0;
  for (RolloutGroup& group : groups) {
    const std::vector<Rollout*> counted = counted_rollouts(group, stats);
    const double deviation = centre(counted);
    stats.uniform_groups += deviation == 0;
    if (counted.size() >= 2) deviations.push_back(deviation);
    for (Rollout* rollout : counted) {
      reward_sum += rollout->reward;
      if (norm == AdvantageNorm::kGroup && deviation > 0) rollout->advantage /= deviation + kEps;
    }
    all.insert(all.end(), counted.begin(), counted.end());
  }
  if (norm == AdvantageNorm::kBatch) divide_by_deviation(all);

  stats.counted = static_cast<int64_t>(all.size());
  stats.reward_mean = trainer::mean_of(reward_sum, static_cast<double>(all.size()));
  for (const double deviation : deviations)
    stats.reward_std = stats.reward_std.value_or(0) + deviation / static_cast<double>(deviations.size());
  for (const Rollout* rollout : all) {
    stats.correct += rollout->correct;
    stats.correct_negative += rollout->correct && rollout->advantage < 0;
  }
  return stats;
}

}  // namespace terse::rl
