// Compares every computed metric of a step with a number computed by hand.
#include "rl/rl_metrics.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace terse::rl {
namespace {

Rollout rollout(int64_t length, bool correct, double reward, const std::string& form, float entropy, int64_t version) {
  Rollout made;
  made.tokens.assign(static_cast<size_t>(length), 1);
  made.entropies.assign(static_cast<size_t>(length), entropy);
  made.versions.assign(static_cast<size_t>(length), version);
  made.correct = correct;
  made.reward = reward;
  made.form = form;
  return made;
}

// A step with two groups that train, of difficulties 1 and 3, and one group that was replaced.
StepRecord step() {
  StepRecord record;
  RolloutGroup easy, hard, replaced;
  easy.problem.difficulty = replaced.problem.difficulty = 1;
  hard.problem.difficulty = 3;
  easy.rollouts = {rollout(4, true, 1, "states", 0.5f, 6), rollout(10, false, 0, "other", 1, 7)};
  easy.rollouts[1].finish = FinishReason::kLength;
  easy.rollouts[1].versions.front() = 4;
  hard.rollouts = {rollout(6, true, 0.75, "states", 0.25f, 7), rollout(2, false, 0, "direct", 2, 7)};
  hard.rollouts[1].status = VerifyStatus::kError;
  replaced.rollouts = {rollout(8, true, 1, "compact", 0.125f, 7), rollout(8, true, 1, "compact", 0.125f, 7)};
  easy.rollouts[0].parts = {{"format", 1}};
  easy.rollouts[1].parts = {{"format", 0.5}};
  // A token that something else appended counts nowhere.
  easy.rollouts[0].sampled = {1, 1, 0, 1, 1};
  easy.rollouts[0].tokens.push_back(0);
  easy.rollouts[0].entropies.insert(easy.rollouts[0].entropies.begin() + 2, 100.0f);
  easy.rollouts[0].versions.insert(easy.rollouts[0].versions.begin() + 2, 6);
  record.batch.groups = {easy, hard};
  record.batch.sampled = {easy, hard, replaced};
  record.batch.version = 7;
  record.batch.stale = 2;
  record.batch.advantage.uniform_groups = 1;
  record.batch.advantage.correct = 4;
  record.batch.advantage.correct_negative = 1;
  record.batch.advantage.reward_std = 0.5;
  record.rollout_seconds = 2;
  record.train_seconds = 1;
  record.mfu = 0.25;
  record.student_seconds = 1;
  record.lr = 3e-4;

  UpdateResult update;
  update.policy_loss = 0.125;
  update.demonstration_loss = 1.5;
  update.logp_diff_mean = 0.01;
  update.logp_diff_max = 0.02;
  update.importance_mean = 1.25;
  update.importance_capped = 0.5;
  update.work = {26, 20, 90};
  update.stats.tokens = 20;
  update.stats.clipped_low = 1;
  update.stats.clipped_high = 2;
  update.stats.kl_sum = 0.4;
  record.add(update, 9, true);
  UpdateResult second;  // second update of the same batch
  second.policy_loss = 0.25;
  second.work = {10, 8, 34};
  second.stats.tokens = 12;
  second.stats.clipped_high = 5;
  second.stats.kl_sum = 3;
  record.add(second, 2.5, false);
  return record;
}

TEST(RlMetrics, AreWhatTheRolloutsOfTheStepSay) {
  // Of the six sampled rollouts five were verified.
  const std::map<std::string, double> expected = {
      {"accuracy", 4.0 / 5},
      {"verifier/error", 1.0 / 6},
      {"verifier/timeout", 0},
      {"reward/format", 0.75},
      {"accuracy/difficulty_1", 3.0 / 4},
      {"accuracy/difficulty_3", 1},
      {"reward", (1 + 0.75 + 1 + 1) / 5},
      {"reward_std", 0.5},
      {"completions/mean_length", (4 + 10 + 6 + 8 + 8) / 5.0},
      {"completions/mean_length/difficulty_1", (4 + 10 + 8 + 8) / 4.0},
      {"completions/mean_length/difficulty_3", 6},
      {"completions/mean_length_correct", (4 + 6 + 8 + 8) / 4.0},
      {"completions/mean_length_wrong", 10},
      {"completions/clipped_ratio", 1.0 / 5},
      {"forms/states", 2.0 / 5},
      {"forms/other", 1.0 / 5},
      {"forms/compact", 2.0 / 5},
      {"entropy", (4 * 0.5 + 10 * 1 + 6 * 0.25 + 2 * 2 + 16 * 0.125) / 38},
      {"entropy_weight", 0.003},
      {"loss", 0.125},
      {"demonstration_loss", 1.5},
      {"kl", 0.4 / 20},
      {"clip_ratio/region_mean", 8.0 / 32},
      {"grad_norm", 2.5},  // of the last update
      {"lr", 3e-4},
      {"frac_reward_zero_std", 0.5},
      {"sampling/logp_diff/mean", 0.01},
      {"sampling/logp_diff/max", 0.02},
      {"compression/correct_negative", 0.25},
      {"staleness/mean", (4 * 1 + 3) / 22.0},  // of the tokens of the groups that train
      {"staleness/max", 3},
      {"importance/mean", 1.25},
      {"importance/capped", 0.5},
      {"rollout/stale", 2},
      {"rollout/groups", 3},
      {"rollout/tokens_per_s", 38 / 2.0},
      {"tokens_per_s", (38 + 26 + 10) / 4.0},
      {"time/rollout", 2},
      {"time/train", 1},
      {"mfu", 0.25},
      {"time/student", 1},
      {"step_time", 4},
  };
  const trainer::Metrics metrics = step().metrics(0.003);
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(metrics.contains(name)) << name;
    EXPECT_DOUBLE_EQ(metrics.at(name), value) << name;
  }
  EXPECT_EQ(metrics.size(), expected.size());
}

// Two groups of gsm with difficulties, and one of sums without.
TEST(RlMetrics, OfAMixtureAreThereForEachTask) {
  StepRecord record = step();
  for (RolloutGroup& group : record.batch.sampled) group.problem.task = "gsm";
  RolloutGroup& sums = record.batch.sampled[2];
  sums.problem.task = "sums";
  sums.problem.difficulty = kNoDifficulty;
  sums.rollouts[1].correct = false;
  sums.rollouts[0].parts = {{"format", 0}};
  sums.rollouts.push_back(sums.rollouts[0]);
  sums.rollouts[2].status = VerifyStatus::kTimeout;
  const trainer::Metrics metrics = record.metrics(0);
  const std::map<std::string, double> expected = {
      {"accuracy", 3.0 / 5},
      {"reward/format", (1 + 0.5 + 0) / 3},
      {"verifier/error", 1.0 / 7},
      {"verifier/timeout", 1.0 / 7},
      {"rollout/groups", 3},
      {"task/gsm/accuracy", 2.0 / 3},
      {"task/gsm/accuracy/difficulty_1", 0.5},
      {"task/gsm/accuracy/difficulty_3", 1},
      {"task/gsm/reward", (1 + 0.75) / 3},
      {"task/gsm/reward/format", 0.75},
      {"task/gsm/completions/mean_length", (4 + 10 + 6) / 3.0},
      {"task/gsm/completions/mean_length/difficulty_1", 7},
      {"task/gsm/completions/mean_length/difficulty_3", 6},
      {"task/gsm/completions/mean_length_correct", 5},
      {"task/gsm/completions/mean_length_wrong", 10},
      {"task/gsm/completions/clipped_ratio", 1.0 / 3},
      {"task/gsm/forms/states", 2.0 / 3},
      {"task/gsm/forms/other", 1.0 / 3},
      {"task/gsm/verifier/error", 1.0 / 4},
      {"task/gsm/verifier/timeout", 0},
      {"task/gsm/rollout/groups", 2},
      {"task/sums/accuracy", 0.5},
      {"task/sums/reward", 1},
      {"task/sums/reward/format", 0},
      {"task/sums/completions/mean_length", 8},
      {"task/sums/completions/mean_length_correct", 8},
      {"task/sums/completions/mean_length_wrong", 8},
      {"task/sums/completions/clipped_ratio", 0},
      {"task/sums/forms/compact", 1},
      {"task/sums/verifier/error", 0},
      {"task/sums/verifier/timeout", 1.0 / 3},
      {"task/sums/rollout/groups", 1},
  };
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(metrics.contains(name)) << name;
    EXPECT_DOUBLE_EQ(metrics.at(name), value) << name;
  }
  for (const auto& [name, value] : metrics) {
    EXPECT_TRUE(expected.contains(name) || !name.starts_with("task/")) << name;
    EXPECT_FALSE(name.starts_with("accuracy/") || name.starts_with("completions/mean_length/"))
        << name << ": difficulties of two tasks are not comparable";
  }
}

TEST(RlMetrics, GenerationThatGoesOnDuringTheStepIsMeasuredOverAllOfIt) {
  StepRecord record = step();
  record.generates_ahead = true;
  EXPECT_DOUBLE_EQ(record.metrics(0).at("rollout/tokens_per_s"), 38 / 4.0);
}

TEST(RlMetrics, TheGateIsTimeOfTheStudentAndSlowsWhatIsCountedPerStep) {
  for (const bool ahead : {false, true}) {
    StepRecord record = step();
    record.generates_ahead = ahead;
    const trainer::Metrics before = record.metrics(0);
    trainer::Metrics after = before;
    StepRecord::add_gate_seconds(after, before.at("step_time"), ahead);  // a step that takes twice as long
    EXPECT_DOUBLE_EQ(after.at("step_time"), 2 * before.at("step_time"));
    EXPECT_DOUBLE_EQ(after.at("time/student"), before.at("time/student") + before.at("step_time"));
    EXPECT_DOUBLE_EQ(after.at("tokens_per_s"), before.at("tokens_per_s") / 2);
    EXPECT_DOUBLE_EQ(after.at("rollout/tokens_per_s"), before.at("rollout/tokens_per_s") / (ahead ? 2 : 1))
        << "rollouts go on during the gate where they are generated ahead";
  }
}

TEST(RlMetrics, AMeanOverNothingIsLeftOut) {
  StepRecord record = step();
  for (std::vector<RolloutGroup>* groups : {&record.batch.groups, &record.batch.sampled}) {
    for (RolloutGroup& group : *groups)
      for (Rollout& each : group.rollouts) each.correct = false;
  }
  record.batch.advantage.correct = record.batch.advantage.correct_negative = 0;
  record.update = {};
  record.stats = {};
  const trainer::Metrics wrong = record.metrics(0);
  EXPECT_EQ(wrong.at("accuracy"), 0) << "nothing is right, and that is known";
  for (const char* name : {"completions/mean_length_correct", "compression/correct_negative", "loss",
                           "demonstration_loss", "kl", "clip_ratio/region_mean", "sampling/logp_diff/mean",
                           "sampling/logp_diff/max", "importance/mean", "importance/capped"})
    EXPECT_FALSE(wrong.contains(name)) << name;

  for (std::vector<RolloutGroup>* groups : {&record.batch.groups, &record.batch.sampled}) {
    for (RolloutGroup& group : *groups)
      for (Rollout& each : group.rollouts) each.status = VerifyStatus::kError;
  }
  const trainer::Metrics unknown = record.metrics(0);
  for (const auto& [name, value] : unknown) {
    for (const char* prefix : {"accuracy", "reward", "completions/", "forms/"})
      EXPECT_FALSE(name.starts_with(prefix) && name != "reward_std") << name << " of rollouts that nobody could verify";
  }
}

}  // namespace
}  // namespace terse::rl
