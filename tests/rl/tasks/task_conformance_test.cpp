// Tests the contract of every task in the table. The tests run for each name and know no task in particular, so a new
// task needs no change here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "rl/compression/ladder.h"
#include "rl/tasks/task.h"

namespace terse::rl {
namespace {

using Tokens = std::vector<int32_t>;

constexpr int64_t kMany = 10'000;
constexpr int64_t kSome = 1'000;
constexpr int64_t kSeed = 7;

class TaskConformance : public testing::TestWithParam<std::string> {
 protected:
  static std::unique_ptr<Task> make(int64_t seed = kSeed) {
    configs::Task config;
    config.name = GetParam();
    return make_task(config, seed);
  }
  std::unique_ptr<Task> task = make();
};

bool same(const Problem& a, const Problem& b) {
  return a.index == b.index && a.difficulty == b.difficulty && a.prompt == b.prompt && a.answer == b.answer &&
         a.meta == b.meta;
}

bool ends_with(const Tokens& tokens, const Tokens& tail) {
  return tokens.size() >= tail.size() && std::equal(tail.rbegin(), tail.rend(), tokens.rbegin());
}

TEST_P(TaskConformance, NameIsTheTableName) {
  EXPECT_EQ(task->name(), GetParam());
}

TEST_P(TaskConformance, TheSameIndexGivesTheSameProblemInAnyOrderAndInAnyInstance) {
  const auto other = make();
  for (const Split split : {Split::kTrain, Split::kEval}) {
    std::vector<Problem> forward;
    for (int64_t i = 0; i < kMany; ++i) forward.push_back(task->problem(split, i));
    for (int64_t i = kMany - 1; i >= 0; --i) {
      ASSERT_TRUE(same(forward[static_cast<size_t>(i)], other->problem(split, i))) << "index " << i;
    }
  }
}

TEST_P(TaskConformance, DrawingADifficultyAndAskingForItGiveTheSameProblem) {
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem drawn = task->problem(Split::kTrain, i);
    ASSERT_TRUE(same(drawn, task->problem(Split::kTrain, i, drawn.difficulty))) << "index " << i;
  }
}

TEST_P(TaskConformance, AnotherSeedGivesOtherProblems) {
  const auto other = make(kSeed + 1);
  int64_t equal = 0;
  for (int64_t i = 0; i < kSome; ++i)
    equal += task->problem(Split::kTrain, i).meta == other->problem(Split::kTrain, i).meta;
  EXPECT_LT(equal, kSome / 10);
}

TEST_P(TaskConformance, TrainingNeverSeesAnEvaluationProblemOfAnyDifficulty) {
  for (const int64_t difficulty : task->difficulties()) {
    std::set<Tokens> trained;
    for (int64_t i = 0; i < kMany; ++i) trained.insert(task->problem(Split::kTrain, i, difficulty).prompt);
    for (int64_t i = 0; i < kSome; ++i) {
      ASSERT_EQ(trained.count(task->problem(Split::kEval, i, difficulty).prompt), 0U) << "difficulty " << difficulty;
    }
  }
}

TEST_P(TaskConformance, IndicesGiveDifferentProblemsOfTheHardestKind) {
  const int64_t hardest = task->difficulties().back();
  std::set<std::string> seen;
  for (int64_t i = 0; i < kSome; ++i) seen.insert(task->problem(Split::kTrain, i, hardest).meta);
  EXPECT_GT(seen.size(), static_cast<size_t>(kSome) * 9 / 10);
}

TEST_P(TaskConformance, DifficultiesAscendAndEachIsDrawnAboutEquallyOften) {
  const std::vector<int64_t> difficulties = task->difficulties();
  ASSERT_FALSE(difficulties.empty());
  EXPECT_EQ(std::adjacent_find(difficulties.begin(), difficulties.end(), std::greater_equal<>()), difficulties.end());
  std::map<int64_t, int64_t> drawn;
  for (int64_t i = 0; i < kMany; ++i) ++drawn[task->problem(Split::kEval, i).difficulty];
  EXPECT_EQ(drawn.size(), difficulties.size());
  const double expected = static_cast<double>(kMany) / static_cast<double>(difficulties.size());
  for (const int64_t difficulty : difficulties) {
    EXPECT_NEAR(static_cast<double>(drawn[difficulty]), expected, 5 * std::sqrt(expected)) << difficulty;
    EXPECT_EQ(task->problem(Split::kTrain, 3, difficulty).difficulty, difficulty);
  }
}

TEST_P(TaskConformance, ImpossibleProblemsAreRefused) {
  EXPECT_THROW(task->problem(Split::kTrain, -1), std::invalid_argument);
  EXPECT_THROW(task->problem(Split::kTrain, 0, task->difficulties().front() - 1), std::invalid_argument);
  EXPECT_THROW(task->problem(Split::kTrain, 0, task->difficulties().back() + 1), std::invalid_argument);
  EXPECT_THROW(task->trace(task->problem(Split::kTrain, 0), "no such form"), std::invalid_argument);
}

TEST_P(TaskConformance, FormSharesAreAMixture) {
  const std::vector<std::string> forms = task->forms();
  const std::vector<double> shares = task->form_shares();
  ASSERT_EQ(forms.size(), shares.size());
  EXPECT_EQ(std::set<std::string>(forms.begin(), forms.end()).size(), forms.size());
  EXPECT_THAT(forms, testing::Not(testing::AnyOf(testing::Contains(kFormSkip), testing::Contains(kFormOther))));
  EXPECT_THAT(shares, testing::Each(testing::Ge(0)));
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1.0, 1e-12);
}

TEST_P(TaskConformance, TracesOfEveryFormVerifyAndAreRecognised) {
  for (const std::string& form : task->forms()) {
    for (int64_t i = 0; i < kMany; ++i) {
      const Problem problem = task->problem(Split::kTrain, i);
      const Verdict verdict = task->verify(problem, task->trace(problem, form));
      ASSERT_EQ(verdict.status, VerifyStatus::kOk);
      ASSERT_TRUE(verdict.correct) << form << " of " << problem.meta;
      ASSERT_EQ(verdict.form, form) << problem.meta;
    }
  }
}

TEST_P(TaskConformance, TracesEndWithTheAnswerAndTheEndToken) {
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem problem = task->problem(Split::kEval, i);
    Tokens tail = problem.answer;
    tail.push_back(task->tokenizer().eos());
    for (const std::string& form : task->forms()) ASSERT_TRUE(ends_with(task->trace(problem, form), tail)) << form;
  }
}

TEST_P(TaskConformance, FormsGoFromVerboseToDirect) {
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    size_t longest = std::numeric_limits<size_t>::max();
    for (const std::string& form : task->forms()) {
      const size_t length = task->trace(problem, form).size();
      ASSERT_LE(length, longest) << form << " of " << problem.meta;
      longest = length;
    }
  }
}

TEST_P(TaskConformance, LengthLimitsHold) {
  for (int64_t i = 0; i < kMany; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    ASSERT_LE(std::ssize(problem.prompt), task->max_prompt_tokens());
    ASSERT_LE(std::ssize(task->trace(problem, task->forms().front())), task->max_response_tokens());
    for (const std::string& form : task->forms())
      ASSERT_LE(std::ssize(task->trace(problem, form)), task->max_trace_tokens(form)) << form;
  }
  EXPECT_THROW(task->max_trace_tokens("no such form"), std::invalid_argument);
}

// A bound that is too high would refuse configurations that work.
TEST_P(TaskConformance, TheLongestTraceOfEveryFormOccurs) {
  const int64_t hardest = task->difficulties().back();
  for (const std::string& form : task->forms()) {
    int64_t longest = 0;
    for (int64_t i = 0; i < kSome; ++i)
      longest = std::max(longest, std::ssize(task->trace(task->problem(Split::kTrain, i, hardest), form)));
    EXPECT_EQ(longest, task->max_trace_tokens(form)) << form;
  }
}

TEST_P(TaskConformance, ChangedAnswersAreWrong) {
  const int32_t vocabulary = static_cast<int32_t>(task->tokenizer().vocab_size());
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    for (const std::string& form : task->forms()) {
      const Tokens trace = task->trace(problem, form);
      for (size_t back = 2; back < 2 + problem.answer.size(); ++back) {
        Tokens changed = trace;
        int32_t& token = changed[trace.size() - back];
        token = static_cast<int32_t>((token + 1 + i % (vocabulary - 1)) % vocabulary);
        ASSERT_FALSE(task->verify(problem, changed).correct) << form << " of " << problem.meta;
      }
    }
  }
}

TEST_P(TaskConformance, ResponsesThatWereCutAreWrong) {
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    for (const std::string& form : task->forms()) {
      Tokens response = task->trace(problem, form);
      while (!response.empty()) {
        response.pop_back();
        ASSERT_FALSE(task->verify(problem, response).correct) << form << " cut to " << response.size();
      }
    }
  }
}

TEST_P(TaskConformance, TokensAfterTheEndTokenAreWrong) {
  const Problem problem = task->problem(Split::kTrain, 0);
  const Tokens once = task->trace(problem, task->forms().back());
  Tokens twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_FALSE(task->verify(problem, twice).correct);
}

TEST_P(TaskConformance, RandomTokensNeverCrashTheVerifierAndHardlyEverPass) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int64_t> length(0, task->max_response_tokens() + 5);
  // The range includes invalid ids at both ends.
  std::uniform_int_distribution<int32_t> token(-1, static_cast<int32_t>(task->tokenizer().vocab_size()));
  int64_t correct = 0;
  for (int64_t i = 0; i < kMany; ++i) {
    Tokens response(static_cast<size_t>(length(random)));
    for (int32_t& id : response) id = token(random);
    const Verdict verdict = task->verify(task->problem(Split::kEval, i), response);
    ASSERT_EQ(verdict.status, VerifyStatus::kOk);
    ASSERT_FALSE(verdict.form.empty());
    correct += verdict.correct;
  }
  EXPECT_LT(correct, kMany / 200);
}

TEST_P(TaskConformance, AForeignProblemIsAnErrorAndNotAWrongAnswer) {
  Problem problem = task->problem(Split::kTrain, 0);
  const Tokens trace = task->trace(problem, task->forms().front());
  problem.meta = "\xffnot made by any task";
  EXPECT_EQ(task->verify(problem, trace).status, VerifyStatus::kError);
}

TEST_P(TaskConformance, PromptsAndTracesSurviveDecodingAndEncoding) {
  const data::Tokenizer& tokenizer = task->tokenizer();
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    ASSERT_EQ(tokenizer.encode(tokenizer.decode(problem.prompt)), problem.prompt);
    for (const std::string& form : task->forms()) {
      const Tokens trace = task->trace(problem, form);
      ASSERT_EQ(tokenizer.encode(tokenizer.decode(trace)), trace) << form;
    }
  }
}

TEST_P(TaskConformance, EveryRungOfTheLadderIsCorrectAndNeverLongerThanTheOneAbove) {
  const Ladder ladder(*task);
  ASSERT_GE(ladder.count(), 1);
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    size_t above = static_cast<size_t>(task->max_response_tokens()) + 1;
    for (int64_t rung = 0; rung < ladder.count(); ++rung) {
      const Tokens trace = ladder.trace(problem, rung);
      ASSERT_LE(trace.size(), above) << "rung " << rung;
      ASSERT_TRUE(task->verify(problem, trace).correct) << "rung " << rung << ": " << task->tokenizer().decode(trace);
      above = trace.size();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, TaskConformance, testing::ValuesIn(task_names()),
                         [](const auto& instance) { return instance.param; });

TEST(TaskTable, AnUnknownNameListsTheKnownOnes) {
  configs::Task config;
  config.name = "chain8";
  try {
    make_task(config, 1);
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'chain8'"));
    for (const std::string& name : task_names()) EXPECT_THAT(error.what(), testing::HasSubstr(name));
  }
}

}  // namespace
}  // namespace terse::rl
