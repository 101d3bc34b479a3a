// Compares chain7 with its definition: tokens written by hand, forms, held-out problems, and mistakes in its config.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/errors.h"
#include "configs/load.h"
#include "rl/tasks/tokenized_task.h"
#include "tests/support/problems.h"

namespace terse::rl {
namespace {

using Tokens = std::vector<int32_t>;
using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<TokenizedTask> chain7(const configs::Task& config = default_config().task, int64_t seed = 1) {
  return open_task(config, seed);
}

// 3 -> +5 = 1 -> *2 = 2 -> +6 = 1 -> *3 = 3
Problem by_hand() {
  return support::chain_problem("3+5*2+6*3", "3");
}

Verdict verify(const std::string& response) {
  const auto task = chain7();
  return task->verify(by_hand(), task->tokenizer().encode(response));
}

void expect_refused(const configs::Task& config, const std::string& mentions) {
  try {
    chain7(config);
    ADD_FAILURE() << "accepted; expected a complaint about " << mentions;
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(mentions));
  }
}

TEST(Chain7, VocabularyHasTheSixteenSymbols) {
  const auto task = chain7();
  EXPECT_EQ(task->tokenizer().vocab_size(), 16);
  EXPECT_EQ(task->tokenizer().encode("0123456+*=>;? </think> <eos> <bos>"),
            (Tokens{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(task->tokenizer().eos(), 14);
  EXPECT_EQ(task->tokenizer().bos(), 15);
}

TEST(Chain7, TracesMatchTheDefinitionTokenByToken) {
  const auto task = chain7();
  const auto expect = [&](const char* form, const std::string& text) {
    EXPECT_EQ(task->trace(by_hand(), form), task->tokenizer().encode(text)) << form;
  };
  const std::string steps = "3+5>1;1*2>2;2+6>1;1*3>3;";
  expect("recheck", steps + "?" + steps + "</think>3<eos>");
  expect("verbose", steps + "</think>3<eos>");
  expect("compact", "+51*22+61*33</think>3<eos>");
  expect("states", "1213</think>3<eos>");
  expect("direct", "</think>3<eos>");
}

TEST(Chain7, TraceLengthsAreLinearInTheOperations) {
  const auto task = chain7();
  for (const Difficulty& difficulty : task->difficulties()) {
    const int64_t k = difficulty.value;
    const Problem problem = task->problem(Split::kTrain, 5, k);
    const auto length = [&](const char* form) { return std::ssize(task->trace(problem, form)); };
    EXPECT_EQ(length("recheck"), 12 * k + 4);
    EXPECT_EQ(length("verbose"), 6 * k + 3);
    EXPECT_EQ(length("compact"), 3 * k + 3);
    EXPECT_EQ(length("states"), k + 3);
    EXPECT_EQ(length("direct"), 3);
  }
  EXPECT_EQ(task->max_response_tokens(), 12 * 8 + 4 + 12);
}

TEST(Chain7, TheDefaultMixtureAverages32Tokens) {
  const auto task = chain7();
  EXPECT_THAT(task->forms(), ElementsAre("recheck", "verbose", "compact", "states", "direct"));
  double tokens = 0;
  for (size_t form = 0; form < task->forms().size(); ++form) {
    double sum = 0;
    for (const Difficulty& difficulty : task->difficulties()) {
      const int64_t k = difficulty.value;
      sum += static_cast<double>(task->trace(task->problem(Split::kTrain, 0, k), task->forms()[form]).size());
    }
    tokens += task->form_shares()[form] * sum / 8;
  }
  EXPECT_NEAR(tokens, 32.0, 0.05);
}

TEST(Chain7, PromptsAreFilledSoThatTheEqualsSignStandsInOnePlace) {
  const auto task = chain7();
  EXPECT_EQ(task->max_prompt_tokens(), 19);
  for (const Difficulty& difficulty : task->difficulties()) {
    const int64_t k = difficulty.value;
    const Problem problem = task->problem(Split::kEval, 11, k);
    ASSERT_EQ(problem.prompt.size(), 19U);
    const std::string filling(static_cast<size_t>(2 * (8 - k)), ';');
    EXPECT_EQ(problem.prompt, task->tokenizer().encode("<bos>" + problem.item->meta + filling + "="));
  }
}

TEST(Chain7, UnalignedPromptsAreNotFilled) {
  configs::Task config = default_config().task;
  config.options.set("align", false);
  config.options.set("align_to", 0);  // ignored without align
  const auto task = chain7(config);
  EXPECT_EQ(task->max_prompt_tokens(), 19);
  const Problem problem = task->problem(Split::kTrain, 0, 2);
  EXPECT_EQ(problem.prompt, task->tokenizer().encode("<bos>" + problem.item->meta + "="));
}

TEST(Chain7, AlignToWidensPromptsForLongerChains) {
  configs::Task config = default_config().task;
  config.options.set("k_min", 9);
  config.options.set("k_max", 12);
  config.options.set("align_to", 16);
  const auto task = chain7(config);
  EXPECT_THAT(task->difficulties(), ElementsAre(9, 10, 11, 12));
  EXPECT_EQ(task->problem(Split::kTrain, 0).prompt.size(), 2U + 2 * 16 + 1);
  EXPECT_EQ(task->max_prompt_tokens(), 2 + 2 * 16 + 1);
  EXPECT_EQ(task->max_response_tokens(), 12 * 12 + 4 + 12);
}

TEST(Chain7, AnswersAreComputedModuloSeven) {
  const auto task = chain7();
  for (int64_t i = 0; i < 1000; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    int state = problem.item->meta[0] - '0';
    for (size_t at = 1; at < problem.item->meta.size(); at += 2) {
      const int operand = problem.item->meta[at + 1] - '0';
      state = (problem.item->meta[at] == '+' ? state + operand : state * operand) % 7;
    }
    ASSERT_EQ(problem.item->answer, std::to_string(state)) << problem.item->meta;
    ASSERT_EQ(std::ssize(problem.item->meta), 1 + 2 * problem.difficulty);
  }
}

TEST(Chain7, StartsOperatorsAndOperandsAreUniformAndNothingIsMultipliedByZero) {
  const auto task = chain7();
  std::map<char, double> starts, plus, times;
  constexpr int kProblems = 4000;
  for (int64_t i = 0; i < kProblems; ++i) {
    const std::string meta = task->problem(Split::kTrain, i, 8).item->meta;
    ++starts[meta[0]];
    for (size_t at = 1; at < meta.size(); at += 2) ++(meta[at] == '+' ? plus : times)[meta[at + 1]];
  }
  const auto expect_uniform = [](const std::map<char, double>& counts, size_t kinds, double total) {
    EXPECT_EQ(counts.size(), kinds);
    const double expected = total / static_cast<double>(kinds);
    for (const auto& [symbol, count] : counts) EXPECT_NEAR(count, expected, 5 * std::sqrt(expected)) << symbol;
  };
  expect_uniform(starts, 7, kProblems);
  expect_uniform(plus, 7, kProblems * 4);
  expect_uniform(times, 6, kProblems * 4);
  EXPECT_EQ(times.count('0'), 0U);
}

TEST(Chain7, NoEvaluationProblemIsEverTrainedOnWhateverTheSeeds) {
  const auto training = chain7(default_config().task, 1), evaluation = chain7(default_config().task, 2);
  for (const Difficulty& difficulty : training->difficulties()) {
    const int64_t k = difficulty.value;
    std::set<std::string> trained;
    for (int64_t i = 0; i < 10'000; ++i) trained.insert(training->problem(Split::kTrain, i, k).item->meta);
    for (int64_t i = 0; i < 1000; ++i) {
      ASSERT_EQ(trained.count(training->problem(Split::kEval, i, k).item->meta), 0U);
      ASSERT_EQ(trained.count(evaluation->problem(Split::kEval, i, k).item->meta), 0U);
    }
  }
}

// Evaluation results depend on the set of held-out problems, so this set must not change unnoticed.
TEST(Chain7, TheProblemsWithOneOperationAreSharedOutBetweenTrainingAndEvaluation) {
  std::set<std::string> training, evaluation;
  const auto task = chain7();
  for (int64_t i = 0; i < 3000; ++i) {
    training.insert(task->problem(Split::kTrain, i, 1).item->meta);
    evaluation.insert(task->problem(Split::kEval, i, 1).item->meta);
  }
  EXPECT_EQ(training.size(), 78U);
  EXPECT_THAT(evaluation,
              ElementsAre("0+2", "0+3", "0+6", "1+5", "2*4", "2*6", "2+6", "3+0", "4+1", "4+3", "4+6", "6+1", "6+2"));
}

TEST(Chain7, TheProblemsWithTwoOperationsAreSharedOutBetweenTrainingAndEvaluation) {
  std::set<std::string> training, evaluation;
  const auto task = chain7();
  for (int64_t i = 0; i < 30'000; ++i) {
    training.insert(task->problem(Split::kTrain, i, 2).item->meta);
    evaluation.insert(task->problem(Split::kEval, i, 2).item->meta);
  }
  EXPECT_EQ(training.size(), 1034U);
  EXPECT_EQ(evaluation.size(), 149U);
}

TEST(Chain7, AProblemIsHeldOutWhateverTheConfig) {
  configs::Task narrow = default_config().task;
  narrow.options.set("k_max", 1);
  narrow.options.set("align", false);
  const auto training = chain7(narrow, 3), evaluation = chain7();
  std::set<std::string> trained;
  for (int64_t i = 0; i < 3000; ++i) trained.insert(training->problem(Split::kTrain, i).item->meta);
  EXPECT_EQ(trained.size(), 78U);
  for (int64_t i = 0; i < 300; ++i) ASSERT_EQ(trained.count(evaluation->problem(Split::kEval, i, 1).item->meta), 0U);
}

TEST(Chain7, CorrectMeansTheLastThreeTokensWhateverWasThought) {
  EXPECT_TRUE(verify("666 </think> 3 <eos>").correct);
  EXPECT_TRUE(verify("</think> 5 </think> 3 <eos>").correct);
  EXPECT_TRUE(verify("<bos> = </think> 3 <eos>").correct);
  EXPECT_FALSE(verify("1213 </think> 4 <eos>").correct);
  EXPECT_FALSE(verify("1213 3 <eos>").correct);
  EXPECT_FALSE(verify("3 <eos>").correct);
  EXPECT_FALSE(verify("</think> 3").correct);
  EXPECT_FALSE(verify("</think> <eos>").correct);
  EXPECT_FALSE(verify("</think> 3 <eos> <eos>").correct);
  EXPECT_FALSE(verify("<eos> </think> 3 <eos>").correct);
  EXPECT_FALSE(verify("</think> 5 <eos> </think> 3 <eos>").correct);
  EXPECT_FALSE(verify("").correct);
}

TEST(Chain7, AnotherProblemsTraceIsCorrectOnlyWhenTheAnswersAgree) {
  const auto task = chain7();
  for (int64_t i = 0; i < 1000; ++i) {
    const Problem mine = task->problem(Split::kTrain, i), other = task->problem(Split::kTrain, i + 1);
    ASSERT_EQ(task->verify(mine, task->trace(other, "verbose")).correct, mine.item->answer == other.item->answer);
  }
}

TEST(Chain7, SkipIsAnOrderedPartOfTheStatesAndNothingElse) {
  for (const char* thinking : {"1", "12", "121", "13", "23", "213", "113", "3"}) {
    EXPECT_EQ(verify(std::string(thinking) + "</think>3<eos>").form, "skip") << thinking;
  }
  for (const char* thinking : {"31", "22", "4", "1214", "12133", "+51", "1;2", "?", "1 </think> 2", "1+"}) {
    EXPECT_EQ(verify(std::string(thinking) + "</think>3<eos>").form, "other") << thinking;
  }
}

TEST(Chain7, TheFormIsThatOfTheThinkingAlsoWhenTheAnswerIsWrong) {
  EXPECT_EQ(verify("1213</think>4<eos>").form, "states");
  EXPECT_EQ(verify("</think>4<eos>").form, "direct");
  EXPECT_EQ(verify("12</think>4<eos>").form, "skip");
  EXPECT_EQ(verify("+51*22+61*33</think>0<eos>").form, "compact");
  EXPECT_EQ(verify("1213").form, "other") << "no proper end";
}

TEST(Chain7, FormsOfTheConfigReplaceTheMixture) {
  configs::Task config = default_config().task;
  config.forms = {{"states", 3}, {"direct", 1}};
  EXPECT_THAT(chain7(config)->form_shares(), ElementsAre(0, 0, 0, 0.75, 0.25));
}

TEST(Chain7, MistakesInTheConfigAreNamed) {
  const auto with = [](auto&& change) {
    configs::Task config = default_config().task;
    change(config);
    return config;
  };
  expect_refused(with([](auto& c) { c.options.set("k_min", 0); }), "task.k_min is 0");
  expect_refused(with([](auto& c) { c.options.set("k_min", 9); }), "task.k_max 8");
  expect_refused(with([](auto& c) {
                   c.options.set("k_max", 1'000'000);
                   c.options.set("align_to", 1'000'000);
                 }),
                 "task.k_max 1000000");
  expect_refused(with([](auto& c) { c.options.set("align_to", 7); }), "task.align_to is 7");
  expect_refused(with([](auto& c) { c.forms = {{"state", 1}}; }), "unknown form 'state'; known: recheck");
  expect_refused(with([](auto& c) { c.forms = {{"states", -1}}; }), "task.forms.states is -1");
  expect_refused(with([](auto& c) { c.forms = {{"states", std::nan("")}}; }), "task.forms.states is nan");
  expect_refused(with([](auto& c) { c.forms = {{"states", 0}}; }), "share above 0");
}

std::string refused_file(const std::string& task) {
  try {
    configs::load_text("stages: [sft]\nsft: {steps: 1}\ntask: " + task + "\n", "my.yaml", {},
                       configs::InputFiles::kMustExist, default_config());
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Chain7, RulesBetweenItsOptionsNameTheirPlaceInAFile) {
  EXPECT_THAT(refused_file("{k_min: 5, k_max: 3}"), HasSubstr("my.yaml:3:8: task.k_min: is 5, above task.k_max 3"));
  EXPECT_EQ(refused_file("{k_min: 3, k_max: 3}"), "");
  EXPECT_THAT(refused_file("{k_max: 9}"), HasSubstr("task.align_to: is 8, below task.k_max 9"));
  EXPECT_EQ(refused_file("{k_max: 9, align: false}"), "");
  EXPECT_EQ(refused_file("{k_max: 9, align_to: 9}"), "");
  EXPECT_EQ(refused_file("{name: gsm8k, k_min: 5, k_max: 3}"), "") << "only the rules of the chosen task count";
}

TEST(Chain7, AProblemWithoutAChainIsNamed) {
  for (const char* meta : {"", "3", "3+", "3-4", "7+1", "3+7", "33+4"}) {
    const Problem problem = support::chain_problem(meta);
    EXPECT_EQ(chain7()->verify(problem, {13, 3, 14}).status, VerifyStatus::kError) << meta;
    EXPECT_THROW(chain7()->trace(problem, "states"), std::invalid_argument) << meta;
  }
}

}  // namespace
}  // namespace terse::rl
