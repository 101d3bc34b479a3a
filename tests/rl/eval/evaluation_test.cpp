// Compares the counts of an evaluation with the rollouts that it inspected, and pass@k with all choices of samples.
#include "rl/eval/evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "tests/rl/chain7_like.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

configs::Task small_task() {
  configs::Task config = default_config().task;
  config.options.set("k_max", 2);
  config.options.set("align_to", 2);
  return config;
}

// chain7 with a scripted verifier, which returns the given verdicts in order and then starts again.
class Verdicts final : public Chain7Like {
 public:
  explicit Verdicts(std::vector<Verdict> verdicts) : Chain7Like(small_task()), verdicts_(std::move(verdicts)) {}
  std::optional<TokenLimits> token_limits() const override { return TokenLimits{7, 6}; }
  Verdict verify(const Item&, const Response&) const override { return verdicts_.at(asked_++ % verdicts_.size()); }

 private:
  std::vector<Verdict> verdicts_;
  mutable size_t asked_ = 0;
};

// Six evaluation problems in a file, so to speak, whose difficulties alternate.
class Finite final : public Chain7Like {
 public:
  Finite() : Chain7Like(small_task()) {}
  std::vector<Difficulty> difficulties() const override { return {}; }
  std::optional<int64_t> size(Split) const override { return 6; }
  std::optional<TokenLimits> token_limits() const override { return TokenLimits{7, 6}; }
  Item item(Split split, int64_t index) const override { return Chain7Like::item(split, index, 1 + index % 2); }
  Verdict verify(const Item&, const Response&) const override { return verdict(false); }
};

const Verdict kRight = verdict(true, "direct");
const Verdict kWrong = verdict(false, "other");
const Verdict kFailed{.status = VerifyStatus::kError};

class EvaluationTest : public ::testing::Test {
 protected:
  // A response that is cut is wrong whatever its verdict. The untrained model ends nearly all responses within 100
  // tokens, and some not within 40; with this seed these have the verdict kWrong.
  Evaluation run(const std::vector<Verdict>& verdicts, int64_t problems, int64_t samples, uint64_t seed = 3,
                 int64_t limit = 100) {
    // The engine decodes one sequence at a time and one thread verifies, so verdicts come in order of problem and
    // sample.
    const TokenizedTask task(std::make_unique<Verdicts>(verdicts), nullptr, 1, VerifierOptions{.threads = 1});
    groups.clear();
    return evaluate(engine, task, {problems, samples, 1.0, seed, limit},
                    [this](const RolloutGroup& group) { groups.push_back(group); });
  }
  trainer::Transformer model{support::tiny_spec(), torch::kCPU, 41};
  Engine engine{model, {1}};
  std::vector<RolloutGroup> groups;
};

TEST_F(EvaluationTest, TakesTheFirstProblemsOfEachDifficultyOfAFiniteSplit) {
  const auto asked = [&](int64_t problems) {
    const TokenizedTask task(std::make_unique<Finite>(), nullptr, 1, VerifierOptions{.threads = 1});
    std::vector<std::pair<int64_t, int64_t>> out;  // difficulty, index
    evaluate(engine, task, {problems, 1, 1.0, 3, 10},
             [&](const RolloutGroup& group) { out.emplace_back(group.problem.difficulty, group.problem.index); });
    std::sort(out.begin(), out.end());
    return out;
  };
  using Pairs = std::vector<std::pair<int64_t, int64_t>>;
  EXPECT_EQ(asked(2), (Pairs{{1, 0}, {1, 2}, {2, 1}, {2, 3}}));
  EXPECT_EQ(asked(100), (Pairs{{1, 0}, {1, 2}, {1, 4}, {2, 1}, {2, 3}, {2, 5}}));
}

// There are two difficulties with 2 problems of 4 samples each. The verdicts repeat every 8 samples: one problem has 3
// right of 4, the next one 0 of 4.
TEST_F(EvaluationTest, CountsWhatItSaw) {
  const Evaluation result = run({kRight, kWrong, kRight, kRight, kWrong, kWrong, kWrong, kWrong}, 2, 4, 3, 40);
  ASSERT_EQ(groups.size(), 4u);
  std::map<int64_t, double> tokens_of;
  double tokens = 0, right_tokens = 0, wrong_tokens = 0, cut = 0;
  for (const RolloutGroup& group : groups) {
    for (const Rollout& rollout : group.rollouts) {
      const double length = static_cast<double>(rollout.tokens.size());
      tokens += length;
      tokens_of[group.problem.difficulty] += length;
      (rollout.correct ? right_tokens : wrong_tokens) += length;
      cut += rollout.tokens.back() == 14 ? 0 : 1;  // without <eos>
    }
  }
  const std::map<std::string, double> metrics = result.metrics();
  const std::map<std::string, double> expected = {{"eval/accuracy", 6.0 / 16},
                                                  {"eval/accuracy/difficulty_1", 3.0 / 8},
                                                  {"eval/accuracy/difficulty_2", 3.0 / 8},
                                                  {"eval/mean_tokens", tokens / 16},
                                                  {"eval/mean_tokens/difficulty_1", tokens_of[1] / 8},
                                                  {"eval/mean_tokens/difficulty_2", tokens_of[2] / 8},
                                                  {"eval/mean_tokens_correct", right_tokens / 6},
                                                  {"eval/mean_tokens_wrong", wrong_tokens / 10},
                                                  {"eval/clipped_ratio", cut / 16},
                                                  {"eval/pass_at_1", 0.75 / 2},
                                                  {"eval/pass_at_2", 1.0 / 2},
                                                  {"eval/pass_at_4", 1.0 / 2},
                                                  {"eval/forms/direct", 6.0 / 16},
                                                  {"eval/forms/other", 10.0 / 16}};
  EXPECT_GT(cut, 0);
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(metrics.contains(name)) << name;
    EXPECT_DOUBLE_EQ(metrics.at(name), value) << name;
  }
  EXPECT_EQ(metrics.size(), expected.size());
  const nlohmann::json json = result.to_json();
  EXPECT_EQ(json["n"], 16);
  EXPECT_EQ(json["accuracy"], 6.0 / 16);
  EXPECT_EQ(json["by_difficulty"]["2"]["n"], 8);
  EXPECT_EQ(json["by_difficulty"]["2"]["mean_tokens"], tokens_of[2] / 8);
  EXPECT_EQ(json["forms"]["direct"]["accuracy"], 1.0);
  EXPECT_EQ(json["forms"]["other"]["accuracy"], 0.0);
}

TEST_F(EvaluationTest, ProblemsAreThoseOfTheEvaluationSplit) {
  run({kRight}, 3, 2);
  const TokenizedTask task(std::make_unique<Verdicts>(std::vector{kRight}), nullptr, 1);
  ASSERT_EQ(groups.size(), 6u);
  for (const RolloutGroup& group : groups) {
    const Problem expected = task.problem(Split::kEval, group.problem.index, group.problem.difficulty);
    EXPECT_EQ(group.problem.prompt, expected.prompt);
    EXPECT_EQ(group.rollouts.size(), 2u);
  }
}

TEST_F(EvaluationTest, TheSeedDecidesWhatIsSampled) {
  const auto sampled = [&](uint64_t seed) {
    run({kRight}, 2, 4, seed);
    std::vector<std::vector<int32_t>> responses;
    for (const RolloutGroup& group : groups)
      for (const Rollout& rollout : group.rollouts) responses.push_back(rollout.tokens);
    return responses;
  };
  const auto one = sampled(1), two = sampled(2);
  EXPECT_NE(one, two);
  EXPECT_EQ(sampled(2), two);
}

TEST_F(EvaluationTest, AMeanOverNoSampleIsLeftOutAndNull) {
  const Evaluation wrong = run({kWrong}, 2, 2);
  EXPECT_FALSE(wrong.metrics().contains("eval/mean_tokens_correct"));
  EXPECT_TRUE(wrong.to_json()["mean_tokens_correct"].is_null());
  EXPECT_EQ(wrong.metrics().at("eval/accuracy"), 0);
  EXPECT_GT(wrong.metrics().at("eval/mean_tokens_wrong"), 0);
  const Evaluation right = run({kRight}, 2, 2);
  EXPECT_FALSE(right.metrics().contains("eval/mean_tokens_wrong"));
  EXPECT_TRUE(right.to_json()["mean_tokens_wrong"].is_null());
}

TEST_F(EvaluationTest, SamplesThatCouldNotBeVerifiedAreNotWrong) {
  const Evaluation result = run({kRight, kFailed, kFailed, kWrong}, 2, 4);
  EXPECT_EQ(result.all.n, 8);
  EXPECT_EQ(result.all.accuracy(), 0.5);
  EXPECT_DOUBLE_EQ(result.pass_at_k.at(1), 0.5);
  EXPECT_DOUBLE_EQ(result.pass_at_k.at(2), 1);
  EXPECT_FALSE(result.pass_at_k.contains(4)) << "no problem has four verified samples";
  const Evaluation none = run({kFailed}, 2, 4);
  EXPECT_TRUE(none.metrics().empty());
  EXPECT_TRUE(none.to_json()["accuracy"].is_null());
  EXPECT_TRUE(none.to_json()["mean_tokens"].is_null());
}

// Chen et al. 2021 (arXiv 2107.03374): the share of all choices of k samples that contain a right one.
TEST(PassAtK, IsTheShareOfAllChoicesThatHoldARightSample) {
  for (int64_t samples = 1; samples <= 10; ++samples) {
    for (int64_t correct = 0; correct <= samples; ++correct) {
      for (int64_t k = 1; k <= samples; ++k) {
        int64_t choices = 0, passing = 0;
        for (uint32_t chosen = 0; chosen < 1u << samples; ++chosen) {
          if (std::popcount(chosen) != k) continue;
          ++choices;
          passing += (chosen & ((1u << correct) - 1)) != 0 ? 1 : 0;  // the first `correct` samples are right
        }
        EXPECT_NEAR(pass_at_k(samples, correct, k), static_cast<double>(passing) / static_cast<double>(choices), 1e-14)
            << samples << " samples, " << correct << " right, k = " << k;
      }
    }
  }
}

configs::Task chains_of(int64_t operations) {
  configs::Task config = default_config().task;
  config.options.set("k_min", operations);
  config.options.set("k_max", operations);
  config.options.set("align_to", 3);
  return config;
}

TEST_F(EvaluationTest, CountsTheTasksOfAMixtureApart) {
  configs::Task mixture = default_config().task;
  mixture.name = "mixture";
  mixture.mixture = {{"one", chains_of(2)}, {"two", chains_of(3)}};
  const std::unique_ptr<TokenizedTask> task = open_task(mixture, 1);
  std::map<std::string, std::pair<int64_t, int64_t>> seen;  // samples and tokens
  const Evaluation result = evaluate(engine, *task, {5, 3, 1.0, 3, 20}, [&](const RolloutGroup& group) {
    EXPECT_EQ(group.problem.difficulty, group.problem.task == "one" ? 2 : 3);
    for (const Rollout& rollout : group.rollouts) {
      seen[group.problem.task].first += 1;
      seen[group.problem.task].second += rollout.length();
    }
  });
  EXPECT_EQ(result.by_difficulty.size(), 0u);
  ASSERT_EQ(result.by_task.size(), 2u);
  const nlohmann::json json = result.to_json();
  const std::map<std::string, double> metrics = result.metrics();
  for (const auto& [name, counted] : seen) {
    const std::string difficulty = name == "one" ? "2" : "3";
    const double tokens = static_cast<double>(counted.second) / 15;
    EXPECT_EQ(counted.first, 15) << "5 problems of 3 samples";
    EXPECT_EQ(json.at("by_task").at(name).at("n"), 15);
    EXPECT_EQ(json.at("by_task").at(name).at("timeouts"), 0);
    EXPECT_EQ(json.at("by_task").at(name).at("mean_tokens"), tokens);
    EXPECT_EQ(json.at("by_task").at(name).at("by_difficulty").at(difficulty).at("n"), 15);
    EXPECT_EQ(metrics.at("eval/task/" + name + "/mean_tokens"), tokens);
    EXPECT_EQ(metrics.at("eval/task/" + name + "/mean_tokens/difficulty_" + difficulty), tokens);
    EXPECT_EQ(metrics.at("eval/task/" + name + "/verifier/error"), 0);
    EXPECT_TRUE(metrics.contains("eval/task/" + name + "/accuracy"));
  }
  EXPECT_EQ(result.all.n, 30);
}

}  // namespace
}  // namespace terse::rl
