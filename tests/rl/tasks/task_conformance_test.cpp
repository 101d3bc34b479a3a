// Tests the contract of every task in the table. The tests run for each name and know no task in particular, so a new
// task needs no change here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "data/tokenizers/byte_tokenizer.h"
#include "rl/compression/curriculum.h"
#include "rl/tasks/tokenized_task.h"

namespace terse::rl {
namespace {

using Tokens = std::vector<int32_t>;

constexpr int64_t kMany = 10'000;
constexpr int64_t kSome = 1'000;
constexpr int64_t kSeed = 7;

class TaskConformance : public testing::TestWithParam<std::string> {
 protected:
  // A task that reads a file gets tests/rl/tasks/samples/<name>.jsonl, one that runs a program gets the double of its
  // tests, a mixture gets the tasks with samples, and one without a tokenizer reads bytes.
  static configs::Task config(const std::string& name = GetParam()) {
    configs::Task config = default_config().task;
    config.name = name;
    if (name == configs::kMixture)
      config.mixture = {{"gsm", TaskConformance::config("gsm8k")}, {"other", TaskConformance::config("jsonl")}};
    const std::filesystem::path sample =
        std::filesystem::path(TERSE_SOURCE_DIR) / "tests/rl/tasks/samples" / (config.name + ".jsonl");
    if (std::filesystem::exists(sample)) config.path = sample.string();
    if (runs_a_program(config)) {
      const std::string tests = TERSE_SOURCE_DIR "/tests/rl/tasks/";
      config.options.set("command",
                         std::vector<std::string>{"python3", "-S", tests + "external/double.py", "demonstrations=1",
                                                  "sample=" + tests + "samples/gsm8k.jsonl"});
    }
    return config;
  }
  static std::unique_ptr<TokenizedTask> make(int64_t seed = kSeed) {
    auto text = make_task(config(), seed);
    std::shared_ptr<const data::ChatFormat> chat;
    if (text->tokenizer() == nullptr) chat = data::ChatFormat::plain(std::make_shared<data::ByteTokenizer>());
    return std::make_unique<TokenizedTask>(std::move(text), chat, seed);
  }
  // Training items repeat in epochs. Evaluation items do not.
  int64_t items(Split split, int64_t wanted) const { return std::min(wanted, task->size(split).value_or(wanted)); }
  Tokens without_end(Tokens tokens) const {
    if (!tokens.empty() && tokens.back() == task->tokenizer().eos()) tokens.pop_back();
    return tokens;
  }
  int64_t longest_response() const {
    return task->max_response_tokens().value_or(task->forms().empty() ? 64 : task->max_trace_tokens(task->forms()[0]));
  }
  bool is_mixture() const { return task->text().parts().size() > 1; }
  // A mixture goes through the epochs of its tasks, and tests/rl/tasks/mixture_test.cpp tests how.
  bool is_endless() const { return !is_mixture() && !task->size(Split::kTrain).has_value(); }

  std::unique_ptr<TokenizedTask> task = make();
};

std::string text_of(const Problem& problem) {
  std::string text;
  for (const Message& message : problem.item->prompt) text += message.role + ":" + message.content + "\n";
  return text;
}

bool same(const Problem& a, const Problem& b) {
  return a.index == b.index && a.difficulty == b.difficulty && a.task == b.task && a.prompt == b.prompt &&
         a.item->index == b.item->index && a.item->answer == b.item->answer && a.item->meta == b.item->meta &&
         text_of(a) == text_of(b);
}

bool ends_with(const Tokens& tokens, const Tokens& tail) {
  return tokens.size() >= tail.size() && std::equal(tail.rbegin(), tail.rend(), tokens.rbegin());
}

TEST_P(TaskConformance, NameIsTheTableName) {
  EXPECT_EQ(task->name(), GetParam());
}

TEST_P(TaskConformance, TheTableKnowsWhetherItBringsATokenizer) {
  const std::vector<std::string> bring = tasks_with_tokenizer();
  EXPECT_EQ(task->text().tokenizer() != nullptr, std::find(bring.begin(), bring.end(), GetParam()) != bring.end());
}

TEST_P(TaskConformance, TheSameIndexGivesTheSameProblemInAnyOrderAndInAnyInstance) {
  const auto other = make();
  for (const Split split : {Split::kTrain, Split::kEval}) {
    const int64_t count = split == Split::kTrain ? kMany : items(split, kMany);
    std::vector<Problem> forward;
    for (int64_t i = 0; i < count; ++i) forward.push_back(task->problem(split, i));
    for (int64_t i = count - 1; i >= 0; --i)
      ASSERT_TRUE(same(forward[static_cast<size_t>(i)], other->problem(split, i))) << "index " << i;
  }
}

TEST_P(TaskConformance, DrawingADifficultyAndAskingForItGiveTheSameProblem) {
  if (!is_endless()) GTEST_SKIP() << "only endless tasks make items of a wanted difficulty";
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem drawn = task->problem(Split::kTrain, i);
    ASSERT_TRUE(same(drawn, task->problem(Split::kTrain, i, drawn.difficulty))) << "index " << i;
  }
}

TEST_P(TaskConformance, AnEpochHoldsEveryItemOnceInAnOrderOfItsOwn) {
  if (is_endless() || is_mixture()) GTEST_SKIP() << "it has no epochs";
  const int64_t size = *task->size(Split::kTrain);
  ASSERT_GE(size, 2);
  const auto epoch = [&](IndexSpace space, int64_t number) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < size; ++i)
      rows.push_back(task->problem(Split::kTrain, index_in(space, number * size + i)).item->index);
    return rows;
  };
  const std::vector<int64_t> first = epoch(IndexSpace::kSft, 0);
  std::vector<int64_t> sorted = first, all(static_cast<size_t>(size));
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);
  EXPECT_NE(epoch(IndexSpace::kSft, 1), first);
  EXPECT_NE(epoch(IndexSpace::kRollout, 0), first);
}

TEST_P(TaskConformance, AnotherSeedGivesOtherProblems) {
  const auto other = make(kSeed + 1);
  const int64_t count = items(Split::kTrain, kSome);
  int64_t equal = 0;
  for (int64_t i = 0; i < count; ++i)
    equal += text_of(task->problem(Split::kTrain, i)) == text_of(other->problem(Split::kTrain, i)) ? 1 : 0;
  EXPECT_LT(equal, count / 10);
}

TEST_P(TaskConformance, TrainingNeverSeesAnEvaluationProblemOfAnyDifficulty) {
  std::set<Tokens> trained;
  for (int64_t i = 0; i < kMany; ++i) trained.insert(task->problem(Split::kTrain, i).prompt);
  for (const Difficulty& difficulty : task->difficulties()) {
    for (int64_t i = 0; i < kMany; ++i) trained.insert(task->problem(Split::kTrain, i, difficulty).prompt);
    for (int64_t i = 0; i < kSome; ++i) {
      ASSERT_EQ(trained.count(task->problem(Split::kEval, i, difficulty).prompt), 0U)
          << "difficulty " << difficulty.value;
    }
  }
  for (int64_t i = 0; i < items(Split::kEval, kSome); ++i)
    ASSERT_EQ(trained.count(task->problem(Split::kEval, i).prompt), 0U) << i;
}

TEST_P(TaskConformance, IndicesGiveDifferentProblemsOfTheHardestKind) {
  if (!is_endless()) GTEST_SKIP() << "a file may hold what it likes";
  const Difficulty hardest = task->difficulties().back();
  std::set<std::string> seen;
  for (int64_t i = 0; i < kSome; ++i) seen.insert(text_of(task->problem(Split::kTrain, i, hardest)));
  EXPECT_GT(seen.size(), static_cast<size_t>(kSome) * 9 / 10);
}

TEST_P(TaskConformance, DifficultiesAscendAndEachIsDrawnAboutEquallyOften) {
  if (!is_endless()) GTEST_SKIP() << "the difficulties of a file are not known beforehand";
  const std::vector<Difficulty> difficulties = task->difficulties();
  ASSERT_FALSE(difficulties.empty());
  EXPECT_EQ(std::adjacent_find(difficulties.begin(), difficulties.end(), std::greater_equal<>()), difficulties.end());
  std::map<int64_t, int64_t> drawn;
  for (int64_t i = 0; i < kMany; ++i) ++drawn[task->problem(Split::kEval, i).difficulty];
  EXPECT_EQ(drawn.size(), difficulties.size());
  const double expected = static_cast<double>(kMany) / static_cast<double>(difficulties.size());
  for (const Difficulty& difficulty : difficulties) {
    EXPECT_NEAR(static_cast<double>(drawn[difficulty.value]), expected, 5 * std::sqrt(expected)) << difficulty.value;
    EXPECT_EQ(task->problem(Split::kTrain, 3, difficulty).difficulty, difficulty.value);
  }
}

TEST_P(TaskConformance, ImpossibleProblemsAreRefused) {
  EXPECT_ANY_THROW(task->problem(Split::kTrain, -1));
  EXPECT_THROW(task->problem(Split::kEval, -1), std::invalid_argument);
  if (const auto size = task->size(Split::kEval)) {
    EXPECT_THROW(task->problem(Split::kEval, *size), std::invalid_argument);
  }
  if (!task->difficulties().empty()) {
    EXPECT_THROW(task->problem(Split::kTrain, 0, task->difficulties().front().value - 1), std::invalid_argument);
    EXPECT_THROW(task->problem(Split::kTrain, 0, task->difficulties().back().value + 1), std::invalid_argument);
  }
  EXPECT_THROW(task->trace(task->problem(Split::kTrain, 0), "no such form"), std::invalid_argument);
}

TEST_P(TaskConformance, FormSharesAreAMixture) {
  const std::vector<std::string> forms = task->forms();
  const std::vector<double> shares = task->form_shares();
  ASSERT_EQ(forms.size(), shares.size());
  if (forms.empty()) return;
  EXPECT_EQ(std::set<std::string>(forms.begin(), forms.end()).size(), forms.size());
  EXPECT_THAT(forms, testing::Not(testing::AnyOf(testing::Contains(kFormSkip), testing::Contains(kFormOther))));
  EXPECT_THAT(shares, testing::Each(testing::Ge(0)));
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1.0, 1e-12);
}

TEST_P(TaskConformance, SolutionsOfEveryFormVerifyAndAreRecognised) {
  for (const std::string& form : task->forms()) {
    std::vector<Problem> problems;
    std::vector<std::future<Verdict>> verdicts;
    for (int64_t i = 0; i < kMany; ++i) {
      problems.push_back(task->problem(Split::kTrain, i));
      verdicts.push_back(task->submit(problems.back(), task->trace(problems.back(), form)));
    }
    for (size_t i = 0; i < problems.size(); ++i) {
      const Verdict verdict = verdicts[i].get();
      ASSERT_EQ(verdict.status, VerifyStatus::kOk);
      ASSERT_TRUE(verdict.correct) << form << " of " << text_of(problems[i]);
      ASSERT_EQ(verdict.score, 1);
      if (!verdict.form.empty()) {
        ASSERT_EQ(verdict.form, form) << text_of(problems[i]);
      }
    }
  }
}

TEST_P(TaskConformance, SolutionsEndWithTheEndToken) {
  for (int64_t i = 0; i < items(Split::kEval, kSome); ++i) {
    const Problem problem = task->problem(Split::kEval, i);
    Tokens tail = task->tokenizer().encode(problem.item->answer);
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
      ASSERT_LE(length, longest) << form << " of " << text_of(problem);
      longest = length;
    }
  }
}

TEST_P(TaskConformance, LengthLimitsHold) {
  for (int64_t i = 0; i < kMany; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    ASSERT_LE(std::ssize(problem.prompt), task->max_prompt_tokens());
    for (const std::string& form : task->forms()) {
      ASSERT_LE(std::ssize(task->trace(problem, form)), longest_response());
      ASSERT_LE(std::ssize(task->trace(problem, form)), task->max_trace_tokens(form)) << form;
    }
  }
  EXPECT_THROW(task->max_trace_tokens("no such form"), std::invalid_argument);
}

// A bound that is too high would refuse configurations that work.
TEST_P(TaskConformance, TheLongestSolutionOfEveryFormOccurs) {
  for (const std::string& form : task->forms()) {
    int64_t longest = 0;
    for (int64_t i = 0; i < kMany; ++i) {
      const Problem problem =
          is_endless() ? task->problem(Split::kTrain, i, task->difficulties().back()) : task->problem(Split::kTrain, i);
      longest = std::max(longest, std::ssize(task->trace(problem, form)));
    }
    EXPECT_EQ(longest, task->max_trace_tokens(form)) << form;
  }
}

TEST_P(TaskConformance, ChangedAnswersAreWrong) {
  const int32_t vocabulary = static_cast<int32_t>(task->tokenizer().vocab_size());
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    const size_t answer = task->tokenizer().encode(problem.item->answer).size();
    for (const std::string& form : task->forms()) {
      const Tokens trace = task->trace(problem, form);
      for (size_t back = 2; back < 2 + answer; ++back) {
        Tokens changed = trace;
        int32_t& token = changed[trace.size() - back];
        token = static_cast<int32_t>((token + 1 + i % (vocabulary - 1)) % vocabulary);
        ASSERT_FALSE(task->verify(problem, changed).correct)
            << form << " of " << text_of(problem) << ": " << task->tokenizer().decode(changed);
      }
    }
  }
}

TEST_P(TaskConformance, ResponsesThatWereCutAreWrong) {
  for (int64_t i = 0; i < kSome / 5; ++i) {
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
  if (task->forms().empty()) GTEST_SKIP() << "it shows no solution";
  const Problem problem = task->problem(Split::kTrain, 0);
  const Tokens once = task->trace(problem, task->forms().back());
  Tokens twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_FALSE(task->verify(problem, twice).correct);
}

TEST_P(TaskConformance, RandomTokensNeverCrashTheVerifierAndHardlyEverPass) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int64_t> length(0, longest_response() + 5);
  // The range includes invalid ids at both ends.
  std::uniform_int_distribution<int32_t> token(-1, static_cast<int32_t>(task->tokenizer().vocab_size()));
  int64_t correct = 0;
  for (int64_t i = 0; i < kMany; ++i) {
    Tokens response(static_cast<size_t>(length(random)));
    for (int32_t& id : response) id = token(random);
    const Verdict verdict = task->verify(task->problem(Split::kEval, i % items(Split::kEval, kMany)), response);
    ASSERT_EQ(verdict.status, VerifyStatus::kOk);
    correct += verdict.correct;
  }
  EXPECT_LT(correct, kMany / 200);
}

TEST_P(TaskConformance, AForeignItemIsAnErrorAndNotAWrongAnswer) {
  Problem foreign = task->problem(Split::kTrain, 0);
  foreign.item = std::make_shared<const Item>(Item{.meta = "\xffnot made by any task"});
  EXPECT_EQ(task->verify(foreign, {task->tokenizer().eos()}).status, VerifyStatus::kError);
}

TEST_P(TaskConformance, PromptsAndSolutionsSurviveDecodingAndEncoding) {
  const data::Tokenizer& tokenizer = task->tokenizer();
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    ASSERT_EQ(tokenizer.encode(tokenizer.decode(problem.prompt)), problem.prompt);
    for (const std::string& form : task->forms()) {
      const Tokens solution = without_end(task->trace(problem, form));
      ASSERT_EQ(tokenizer.encode(tokenizer.decode(solution)), solution) << form;
    }
  }
}

TEST_P(TaskConformance, EveryLevelOfTheCurriculumIsCorrectAndNeverLongerThanTheOneBefore) {
  if (!task->can_be_thinned()) GTEST_SKIP() << "its solutions cannot be thinned";
  const Curriculum curriculum(*task);
  ASSERT_GE(curriculum.count(), 1);
  for (int64_t i = 0; i < kSome; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    size_t above = static_cast<size_t>(longest_response()) + 1;
    for (int64_t level = 0; level < curriculum.count(); ++level) {
      const Tokens trace = curriculum.trace(problem, level);
      ASSERT_LE(trace.size(), above) << "level " << level;
      ASSERT_TRUE(task->verify(problem, trace).correct) << "level " << level << ": " << task->tokenizer().decode(trace);
      above = trace.size();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, TaskConformance, testing::ValuesIn(task_names()),
                         [](const auto& instance) { return instance.param; });

TEST(TaskTable, AnUnknownNameListsTheKnownOnes) {
  configs::Task config = default_config().task;
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
