// Sampling with replacement of uniform groups.
#include "rl/rollout_source.h"

#include <algorithm>

namespace terse::rl {

namespace {

constexpr int64_t kFirstProblem = int64_t{1}
                                  << 32;  // RL's training problems start beyond those of supervised fine-tuning

// A group teaches something when its rewards differ and at least one answer is right: length alone is no reason to
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

}  // namespace

SamplingOptions rollout_sampling(const configs::RunConfig& config, const Task& task) {
  SamplingOptions sampling;
  sampling.transform = {config.engine.temperature, config.engine.top_k, config.engine.top_p, config.engine.min_p};
  sampling.max_new_tokens =
      config.engine.max_new_tokens > 0 ? config.engine.max_new_tokens : task.max_response_tokens();
  sampling.end_token = task.tokenizer().eos();
  sampling.seed = static_cast<uint64_t>(config.run.seed);
  sampling.stream = data::RandomStream::kSample;
  return sampling;
}

RolloutSource::RolloutSource(const configs::RunConfig& config, const Task& task, Engine& engine,
                             const CompressionController& controller, trainer::World& world)
    : config_(config.rl),
      task_(task),
      engine_(engine),
      controller_(controller),
      world_(world),
      penalty_(length_penalty(config.rl.penalty.kind)),
      sampling_(rollout_sampling(config, task)),
      cursor_(kFirstProblem) {}

void RolloutSource::price(RolloutGroup& group) const {
  PenaltyInput input = penalty_input(group);
  if (config_.penalty.kind == "adaptive") input.limit = controller_.limit(group.problem.difficulty);
  if (config_.penalty.kind == "truncation") input.limit = static_cast<double>(config_.penalty.limit);
  input.strength = config_.penalty.strength;
  store_rewards(penalty_(input), group);
}

std::vector<RolloutGroup> RolloutSource::sample(int64_t groups) {
  std::vector<Problem> problems;
  for (int64_t i = 0; i < groups; ++i) problems.push_back(task_.problem(Split::kTrain, cursor_++));
  world_.enter("rollout");
  std::vector<RolloutGroup> sampled =
      roll_out(engine_, task_, std::move(problems), config_.group_size, sampling_, &world_);
  for (RolloutGroup& group : sampled) price(group);
  return sampled;
}

RolloutBatch RolloutSource::next() {
  RolloutBatch batch;
  std::vector<RolloutGroup> uniform;
  int64_t rounds = config_.resample_uniform ? config_.max_resample_rounds : 0;
  for (int64_t wanted = config_.prompts; wanted > 0;
       wanted = config_.prompts - static_cast<int64_t>(batch.groups.size())) {
    for (RolloutGroup& group : sample(wanted)) {
      batch.sampled.push_back(group);
      (has_signal(group) ? batch.groups : uniform).push_back(std::move(group));
    }
    if (rounds-- <= 0) break;
  }
  // What could not be replaced fills up the batch, so that denominators do not depend on luck.
  for (RolloutGroup& group : uniform) {
    if (static_cast<int64_t>(batch.groups.size()) >= config_.prompts) break;
    batch.groups.push_back(std::move(group));
  }
  batch.advantage = compute_advantages(batch.groups, parse_advantage_norm(config_.advantage_norm));
  return batch;
}

}  // namespace terse::rl
