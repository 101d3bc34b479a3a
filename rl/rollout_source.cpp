// Replaces groups without a signal by groups of new problems, and orders groups that are too old again.
#include "rl/rollout_source.h"

#include <algorithm>

namespace terse::rl {

namespace {

// A group teaches something when its rewards differ and at least one answer is right. Length alone is no reason to
// train.
bool has_signal(const RolloutGroup& group) {
  double low = 0, high = 0;
  bool any = false, correct = false;
  for (const Rollout& rollout : group.rollouts) {
    if (rollout.status != VerifyStatus::kOk) continue;
    low = any ? std::min(low, rollout.reward) : rollout.reward;
    high = any ? std::max(high, rollout.reward) : rollout.reward;
    any = true;
    correct = correct || rollout.correct;
  }
  return correct && high > low;
}

// The version of the oldest token of any rollout.
int64_t oldest_version(const RolloutGroup& group) {
  int64_t oldest = group.rollouts.front().oldest_version();
  for (const Rollout& rollout : group.rollouts) oldest = std::min(oldest, rollout.oldest_version());
  return oldest;
}

}  // namespace

RolloutSource::RolloutSource(const configs::RunConfig& config, const TokenizedTask& task, RolloutSupply& supply,
                             const CompressionController& controller)
    : config_(config.rl),
      task_(task),
      supply_(supply),
      controller_(controller),
      penalty_(length_penalty(config.rl.penalty.kind)),
      ledger_(first_index(IndexSpace::kRollout)) {}

void RolloutSource::restore(const nlohmann::json& state) {
  ledger_.restore(state);
  for (const int64_t index : ledger_.outstanding()) again_.push_back(task_.problem(Split::kTrain, index));
}

void RolloutSource::price(RolloutGroup& group) const {
  PenaltyInput input = penalty_input(group);
  if (config_.penalty.kind == "adaptive") input.limit = controller_.limit(group.problem.difficulty_in_task());
  if (config_.penalty.kind == "truncation") input.limit = static_cast<double>(config_.penalty.limit);
  input.strength = config_.penalty.strength;
  store_rewards(penalty_(input), group);
}

void RolloutSource::order_ahead(int64_t needed) {
  const int64_t wanted = needed + config_.max_staleness * config_.prompts;
  std::vector<Problem> problems;
  while (static_cast<int64_t>(ledger_.outstanding().size()) < wanted)
    problems.push_back(task_.problem(Split::kTrain, ledger_.assign()));
  if (!problems.empty()) supply_.order(std::move(problems));
}

// Takes the next ready group, or returns nullopt when it is too old and has been ordered again.
std::optional<RolloutGroup> RolloutSource::take(RolloutBatch& batch) {
  RolloutGroup group = std::move(ready_.front());
  ready_.pop_front();
  if (batch.version - oldest_version(group) > config_.max_staleness) {
    ++batch.stale;
    supply_.order({std::move(group.problem)});
    return std::nullopt;
  }
  ledger_.consume(group.problem.index);
  price(group);
  return group;
}

RolloutBatch RolloutSource::next(int64_t version) {
  RolloutBatch batch;
  batch.version = version;
  if (!again_.empty()) supply_.order(std::exchange(again_, {}));
  std::vector<RolloutGroup> uniform;
  int64_t rounds = config_.resample_uniform ? config_.max_resample_rounds : 0;
  for (int64_t wanted = config_.prompts; wanted > 0;
       wanted = config_.prompts - static_cast<int64_t>(batch.groups.size())) {
    order_ahead(wanted);
    for (int64_t taken = 0; taken < wanted;) {
      // At rl.max_staleness 0 groups come in order of problem, so that the batch does not depend on which rank was
      // faster.
      if (ready_.empty()) {
        for (RolloutGroup& group : supply_.collect(config_.max_staleness == 0)) ready_.push_back(std::move(group));
      }
      std::optional<RolloutGroup> group = take(batch);
      if (!group) continue;
      ++taken;
      batch.sampled.push_back(*group);
      (has_signal(*group) ? batch.groups : uniform).push_back(std::move(*group));
    }
    if (rounds-- <= 0) break;
  }
  // Groups that could not be replaced fill up the batch, so that the denominators do not depend on chance.
  for (RolloutGroup& group : uniform) {
    if (static_cast<int64_t>(batch.groups.size()) >= config_.prompts) break;
    batch.groups.push_back(std::move(group));
  }
  order_ahead(0);
  batch.advantage = compute_advantages(batch.groups, parse_advantage_norm(config_.advantage_norm));
  return batch;
}

}  // namespace terse::rl
