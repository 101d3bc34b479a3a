// Aggregates the rollouts of a step. All sampled groups count, also replaced ones, so that resampling does not bias the
// metrics.
#include "rl/rl_metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace terse::rl {

using trainer::Mean;

namespace {

// Means over the verified rollouts that a step sampled, in all and by difficulty and form.
struct SampledMeans {
  void add(const RolloutGroup& group) {
    groups += 1;
    for (const Rollout& rollout : group.rollouts) {
      all += 1;
      timeouts += rollout.status == VerifyStatus::kTimeout ? 1 : 0;
      errors += rollout.status == VerifyStatus::kError ? 1 : 0;
      if (rollout.status == VerifyStatus::kOk) add_verified(group.problem.difficulty, rollout);
    }
  }

  void add_verified(int64_t difficulty, const Rollout& rollout) {
    const double tokens = static_cast<double>(rollout.length()), right = rollout.correct ? 1 : 0;
    reward.add(rollout.reward);
    accuracy.add(right);
    length.add(tokens);
    (rollout.correct ? length_correct : length_wrong).add(tokens);
    clipped.add(rollout.finish == FinishReason::kLength ? 1 : 0);
    if (difficulty != kNoDifficulty) {
      accuracy_of[difficulty].add(right);
      length_of[difficulty].add(tokens);
    }
    if (!rollout.form.empty()) forms[rollout.form].add(1);
    for (const auto& [name, value] : rollout.parts) parts[name].add(value);
  }

  trainer::Metrics metrics() const {
    trainer::Metrics m = trainer::present({
        {"reward", reward.value()},
        {"accuracy", accuracy.value()},
        {"completions/mean_length", length.value()},
        {"completions/mean_length_correct", length_correct.value()},
        {"completions/mean_length_wrong", length_wrong.value()},
        {"completions/clipped_ratio", clipped.value()},
        {"verifier/timeout", trainer::mean_of(timeouts, all)},
        {"verifier/error", trainer::mean_of(errors, all)},
        {"rollout/groups", groups},
    });
    for (const auto& [difficulty, mean] : accuracy_of) {
      const std::string suffix = "/difficulty_" + std::to_string(difficulty);
      m.merge(trainer::present({{"accuracy" + suffix, mean.value()},
                                {"completions/mean_length" + suffix, length_of.at(difficulty).value()}}));
    }
    for (const auto& [name, mean] : parts) m.merge(trainer::present({{"reward/" + name, mean.value()}}));
    for (const auto& [form, mean] : forms) m["forms/" + form] = mean.count / accuracy.count;
    return m;
  }

  Mean reward, accuracy, length, length_correct, length_wrong, clipped;
  std::map<int64_t, Mean> accuracy_of, length_of;
  std::map<std::string, Mean> forms, parts;
  double groups = 0, all = 0, timeouts = 0, errors = 0;  // those that could not be judged included
};

// The metrics of all rollouts and, in a mixture, of those of each task. Difficulties of different tasks are not
// comparable, so only the metrics of each task tell them apart.
trainer::Metrics sampled_metrics(const std::vector<RolloutGroup>& groups) {
  SampledMeans all;
  std::map<std::string, SampledMeans> by_task;
  for (const RolloutGroup& group : groups) {
    all.add(group);
    by_task[group.problem.task].add(group);
  }
  if (by_task.size() == 1 && by_task.begin()->first.empty()) return all.metrics();
  all.accuracy_of.clear();
  trainer::Metrics m = all.metrics();
  for (const auto& [task, means] : by_task) {
    for (const auto& [name, value] : means.metrics()) m[metric_prefix(task) + name] = value;
  }
  return m;
}

// How many versions of the weights the tokens of a batch are behind.
struct Staleness {
  explicit Staleness(const RolloutBatch& batch) {
    for (const RolloutGroup& group : batch.groups) {
      for (const Rollout& rollout : group.rollouts) {
        for (size_t i = 0; i < rollout.versions.size(); ++i) {
          if (rollout.is_sampled(i)) mean.add(static_cast<double>(batch.version - rollout.versions[i]));
        }
        if (rollout.versions.empty()) continue;
        max = std::max(max.value_or(0), static_cast<double>(batch.version - rollout.oldest_version()));
      }
    }
  }

  Mean mean;
  std::optional<double> max;
};

}  // namespace

void StepRecord::add(const UpdateResult& result, double norm, bool first) {
  if (first) update = result;
  grad_norm = norm;
  trained += result.work;
  stats.add(result.stats);
}

int64_t StepRecord::generated_tokens() const {
  int64_t tokens = 0;
  for (const RolloutGroup& group : batch.sampled) {
    for (const Rollout& rollout : group.rollouts) tokens += rollout.length();
  }
  return tokens;
}

std::optional<double> StepRecord::sampled_entropy() const {
  Mean mean;
  for (const RolloutGroup& group : batch.sampled) {
    for (const Rollout& rollout : group.rollouts) {
      for (size_t i = 0; i < rollout.entropies.size(); ++i) {
        if (rollout.is_sampled(i)) mean.add(rollout.entropies[i]);
      }
    }
  }
  return mean.value();
}

trainer::Metrics StepRecord::metrics(double entropy_weight) const {
  const Staleness staleness(batch);
  const AdvantageStats& a = batch.advantage;
  const double generated = static_cast<double>(generated_tokens());
  trainer::Metrics m = trainer::present({
      {"reward_std", a.reward_std},
      {"entropy", sampled_entropy()},
      {"entropy_weight", entropy_weight},
      {"kl", update.stats.approx_kl()},
      {"grad_norm", grad_norm},
      {"loss", update.policy_loss},
      {"demonstration_loss", update.demonstration_loss},
      {"lr", lr},
      {"clip_ratio/region_mean", stats.clip_fraction()},
      {"frac_reward_zero_std",
       trainer::mean_of(static_cast<double>(a.uniform_groups), static_cast<double>(batch.groups.size()))},
      {"sampling/logp_diff/mean", update.logp_diff_mean},
      {"sampling/logp_diff/max", update.logp_diff_max},
      {"compression/correct_negative",
       trainer::mean_of(static_cast<double>(a.correct_negative), static_cast<double>(a.correct))},
      {"staleness/mean", staleness.mean.value()},
      {"staleness/max", staleness.max},
      {"importance/mean", update.importance_mean},
      {"importance/capped", update.importance_capped},
      {"rollout/stale", static_cast<double>(batch.stale)},
      {"time/rollout", rollout_seconds},
      {"time/train", train_seconds},
      {"time/student", student_seconds},
      {"step_time", seconds()},
      {"tokens_per_s", (generated + trained.tokens) / seconds()},
      {"mfu", mfu},
      {"rollout/tokens_per_s", generated / (generates_ahead ? seconds() : rollout_seconds)},
  });
  m.merge(sampled_metrics(batch.sampled));
  return m;
}

void StepRecord::add_gate_seconds(trainer::Metrics& metrics, double seconds, bool generates_ahead) {
  const double before = metrics.at("step_time");
  metrics["time/student"] += seconds;
  metrics["step_time"] += seconds;
  const double slower = before / metrics.at("step_time");
  metrics["tokens_per_s"] *= slower;
  if (generates_ahead) metrics["rollout/tokens_per_s"] *= slower;
}

trainer::Metrics compression_metrics(const CompressionController& controller, const trainer::Metrics& record) {
  trainer::Metrics m = {{"compression/pressure", controller.pressure()},
                        {"compression/backoffs", static_cast<double>(controller.backoffs())}};
  for (const Difficulty& difficulty : controller.difficulties()) {
    const std::string prefix = metric_prefix(difficulty.task), suffix = fmt::format("difficulty_{}", difficulty.value);
    if (record.contains(prefix + "accuracy/" + suffix))
      m[prefix + "compression/limit/" + suffix] = controller.limit(difficulty);
  }
  return m;
}

}  // namespace terse::rl
