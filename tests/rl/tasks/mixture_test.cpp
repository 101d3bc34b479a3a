// Tests which problems a mixture gives, to whom it sends their responses, and which mixtures it refuses.
#include "rl/tasks/mixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <set>

#include "base/errors.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "rl/tasks/tokenized_task.h"
#include "rl/tasks/trace_stream.h"
#include "tests/support/temporary_folder.h"

namespace terse::rl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const std::string kSamples = TERSE_SOURCE_DIR "/tests/rl/tasks/samples/";
constexpr IndexSpace kSpaces[] = {IndexSpace::kSft, IndexSpace::kRollout, IndexSpace::kDemonstrations,
                                  IndexSpace::kStudent, IndexSpace::kGate};

configs::Task of_file(const std::string& name, double weight = 1) {
  configs::Task config = default_config().task;
  config.name = name;
  config.path = kSamples + name + ".jsonl";
  config.weight = weight;
  return config;
}

configs::Task chains(int64_t least, int64_t most, double weight = 1) {
  configs::Task config = default_config().task;
  config.options.set("k_min", least);
  config.options.set("k_max", most);
  config.weight = weight;
  return config;
}

configs::Task mixture(std::map<std::string, configs::Task> parts) {
  configs::Task config = default_config().task;
  config.name = "mixture";
  config.mixture = std::move(parts);
  return config;
}

std::unique_ptr<TokenizedTask> tokenized(const configs::Task& config, int64_t seed = 7) {
  auto text = make_task(config, seed);
  std::shared_ptr<const data::ChatFormat> chat;
  if (text->tokenizer() == nullptr) chat = data::ChatFormat::plain(std::make_shared<data::ByteTokenizer>());
  return std::make_unique<TokenizedTask>(std::move(text), chat, seed);
}

TEST(MixtureQuotas, AreLargestRemaindersOfAThousand) {
  EXPECT_THAT(mixture_quotas({1}), ElementsAre(1000));
  EXPECT_THAT(mixture_quotas({3, 1}), ElementsAre(750, 250));
  EXPECT_THAT(mixture_quotas({1, 1, 1}), ElementsAre(334, 333, 333));
  EXPECT_THAT(mixture_quotas({0.1, 0.2, 0.3}), ElementsAre(167, 333, 500));  // 166.67, 333.33, 500
  EXPECT_THAT(mixture_quotas({1, 1, 1, 1, 1, 1, 1}), ElementsAre(143, 143, 143, 143, 143, 143, 142));
  EXPECT_THAT(mixture_quotas({1, 1e7}), ElementsAre(0, 1000));
}

TEST(Mixture, AnyThousandProblemsInARowHaveTheSharesExactly) {
  const auto task = make_task(mixture({{"gsm", of_file("gsm8k", 3)}, {"other", of_file("jsonl", 1)}}), 1);
  for (const IndexSpace space : kSpaces) {
    std::vector<bool> is_gsm;
    for (int64_t i = 0; i < 2500; ++i) is_gsm.push_back(task->item(Split::kTrain, index_in(space, i)).task == "gsm");
    for (size_t begin = 0; begin + 1000 <= is_gsm.size(); ++begin) {
      const auto at = is_gsm.begin() + static_cast<std::ptrdiff_t>(begin);
      ASSERT_EQ(std::count(at, at + 1000, true), 750) << begin;
    }
  }
}

TEST(Mixture, SeedAndSpaceShuffleThePlaces) {
  const configs::Task config = mixture({{"gsm", of_file("gsm8k")}, {"other", of_file("jsonl")}});
  const auto places = [&](int64_t seed, IndexSpace space) {
    const auto task = make_task(config, seed);
    std::string all;
    for (int64_t i = 0; i < 200; ++i) all += task->item(Split::kTrain, index_in(space, i)).task[0];
    return all;
  };
  const std::string first = places(1, IndexSpace::kSft);
  EXPECT_EQ(places(1, IndexSpace::kSft), first);
  EXPECT_NE(places(2, IndexSpace::kSft), first);
  EXPECT_NE(places(1, IndexSpace::kRollout), first);
  // Of 200 draws without order, 100 belong to each task, with a deviation of 6.3.
  EXPECT_NEAR(static_cast<double>(std::count(first.begin(), first.end(), 'g')), 100, 32);
}

void expect_equal(const Problem& a, const Problem& b) {
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.difficulty, b.difficulty);
  EXPECT_EQ(a.prompt, b.prompt);
  EXPECT_EQ(a.item->answer, b.item->answer);
  EXPECT_EQ(a.item->meta, b.item->meta);
}

TEST(Mixture, OfOneTaskGivesTheProblemsOfThatTask) {
  for (const configs::Task& config : {of_file("gsm8k"), of_file("jsonl", 0.3), chains(1, 8)}) {
    const auto alone = tokenized(config), mixed = tokenized(mixture({{"only", config}}));
    for (const IndexSpace space : kSpaces) {
      for (int64_t i = 0; i < 2500; ++i)
        expect_equal(mixed->problem(Split::kTrain, index_in(space, i)),
                     alone->problem(Split::kTrain, index_in(space, i)));
    }
    const std::vector<Problem> a = mixed->evaluation_problems(10), b = alone->evaluation_problems(10);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      expect_equal(a[i], b[i]);
      EXPECT_EQ(a[i].task, "only");
    }
    for (const Difficulty& difficulty : alone->difficulties()) {
      expect_equal(mixed->problem(Split::kTrain, 5, {difficulty.value, "only"}),
                   alone->problem(Split::kTrain, 5, difficulty));
    }
    EXPECT_EQ(mixed->max_prompt_tokens(), alone->max_prompt_tokens());
    EXPECT_EQ(mixed->forms(), alone->forms());
    EXPECT_EQ(mixed->form_shares(), alone->form_shares());
    EXPECT_EQ(mixed->can_be_thinned(), alone->can_be_thinned());
    for (const std::string& form : alone->forms())
      EXPECT_EQ(mixed->max_trace_tokens(form), alone->max_trace_tokens(form)) << form;
  }
}

// Whatever its weight is, each task goes through its own problems in its own order, and so through its own epochs.
TEST(Mixture, EachTaskGivesItsOwnProblemsInOrder) {
  const configs::Task gsm = of_file("gsm8k", 3), other = of_file("jsonl", 1);
  const auto mixed = tokenized(mixture({{"gsm", gsm}, {"other", other}}));
  std::map<std::string, std::unique_ptr<TokenizedTask>> alone;
  alone["gsm"] = tokenized(gsm);
  alone["other"] = tokenized(other);
  for (const IndexSpace space : {IndexSpace::kSft, IndexSpace::kRollout}) {
    std::map<std::string, int64_t> given;
    for (int64_t i = 0; i < 2300; ++i) {
      const Problem problem = mixed->problem(Split::kTrain, index_in(space, i));
      const Problem own = alone.at(problem.task)->problem(Split::kTrain, index_in(space, given[problem.task]++));
      ASSERT_EQ(problem.prompt, own.prompt) << i;
      ASSERT_EQ(problem.item->answer, own.item->answer);
      ASSERT_EQ(problem.index, index_in(space, i));
    }
    EXPECT_GT(given["gsm"], 1000) << "several epochs of about 115 problems";
    EXPECT_GT(given["other"], 500);
  }
}

TEST(Mixture, AnEvaluationTakesTheProblemsOfEveryTask) {
  const configs::Task gsm = of_file("gsm8k", 3), other = of_file("jsonl", 1);
  const auto mixed = tokenized(mixture({{"gsm", gsm}, {"other", other}}));
  for (const int64_t count : {1, 2, 1000}) {
    std::vector<Problem> expected = tokenized(gsm)->evaluation_problems(count);
    const size_t of_gsm = expected.size();
    for (Problem& problem : tokenized(other)->evaluation_problems(count)) expected.push_back(std::move(problem));
    const std::vector<Problem> problems = mixed->evaluation_problems(count);
    ASSERT_EQ(problems.size(), expected.size());
    std::set<int64_t> indices;
    for (size_t i = 0; i < problems.size(); ++i) {
      EXPECT_EQ(problems[i].prompt, expected[i].prompt);
      EXPECT_EQ(problems[i].difficulty, expected[i].difficulty);
      EXPECT_EQ(problems[i].task, i < of_gsm ? "gsm" : "other");
      EXPECT_EQ(mixed->problem(Split::kEval, problems[i].index).prompt, problems[i].prompt);
      indices.insert(problems[i].index);
    }
    EXPECT_EQ(indices.size(), problems.size()) << "no two problems share random numbers";
  }
}

class MixtureOfFiles : public ::testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_.path() / name;
    std::ofstream(path) << text << "\n";
    return path.string();
  }
  configs::Task part(const std::string& name, const std::string& train, const std::string& eval, const char* answer) {
    configs::Task config = default_config().task;
    config.name = "jsonl";
    config.path = file(name + "-train.jsonl", train);
    config.eval_path = file(name + "-eval.jsonl", eval);
    config.options.set("answer", std::string(answer));
    return config;
  }
  support::TemporaryFolder folder_;
};

TEST_F(MixtureOfFiles, ItsTasksJudgeTheirOwnProblems) {
  const auto task = make_task(
      mixture(
          {{"numbers", part("n", R"({"prompt": "a", "answer": 2})", R"({"prompt": "b", "answer": 2})", "number")},
           {"words", part("w", R"({"prompt": "c", "answer": "2"})", R"({"prompt": "d", "answer": "2"})", "exact")}}),
      1);
  std::set<std::string> judged;
  for (int64_t i = 0; i < 50; ++i) {
    const Item item = task->item(Split::kTrain, i);
    EXPECT_EQ(task->verify(item, {"2.0", true}).correct, item.task == "numbers");
    EXPECT_TRUE(task->verify(item, {"2", true}).correct);
    judged.insert(item.task);
  }
  EXPECT_THAT(judged, ElementsAre("numbers", "words"));
  Item foreign = task->item(Split::kTrain, 0);
  foreign.task = "letters";
  EXPECT_EQ(task->verify(foreign, {"2", true}).status, VerifyStatus::kError);
  EXPECT_EQ(task->demonstrations(), nullptr) << "no line has a solution";
}

TEST_F(MixtureOfFiles, WhatATaskCannotUseIsToldWithItsName) {
  configs::Task broken = of_file("gsm8k");
  broken.path.clear();
  EXPECT_THAT(
      [&] {
        make_task(mixture({{"gsm", broken}}), 1);
      },
      ThrowsMessage<ConfigError>(HasSubstr("task.mixture.gsm: task.path is empty")));
  broken.path = "no/such/file";
  EXPECT_THAT(
      [&] {
        make_task(mixture({{"gsm", broken}}), 1);
      },
      ThrowsMessage<DiskError>(HasSubstr("task.mixture.gsm: task.path: no/such/file")));
  broken.path = file("bad.jsonl", "5");
  EXPECT_THAT(
      [&] {
        make_task(mixture({{"gsm", broken}}), 1);
      },
      ThrowsMessage<DataError>(AllOf(HasSubstr("task.mixture.gsm: "), HasSubstr("bad.jsonl, line 1"))));
  EXPECT_THAT(
      [&] {
        make_task(mixture({{"c", chains(5, 3)}}), 1);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("task.mixture.c: ")));
}

TEST_F(MixtureOfFiles, AProblemThatAnotherTaskEvaluatesOnIsRefused) {
  const std::string a = R"({"prompt": "a", "answer": 1})", b = R"({"prompt": "b", "answer": 1})",
                    c = R"({"prompt": "c", "answer": 1})";
  EXPECT_THAT(
      [&] {
        make_task(mixture({{"x", part("x", a, b, "number")}, {"y", part("y", c, a, "number")}}), 1);
      },
      ThrowsMessage<DataError>(
          AllOf(HasSubstr("x trains on the prompt of its item 0"), HasSubstr("y evaluates on as its item 0"))));
  EXPECT_NO_THROW(make_task(mixture({{"x", part("x", a, b, "number")}, {"y", part("y", c, b, "number")}}), 1));
}

TEST(Mixture, ImpossibleOnesAreRefused) {
  EXPECT_THAT([&] { make_task(mixture({}), 1); }, ThrowsMessage<ConfigError>(HasSubstr("task.mixture has no task")));
  EXPECT_THAT(
      [&] {
        make_task(mixture({{"inner", mixture({{"gsm", of_file("gsm8k")}})}}), 1);
      },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("task.mixture.inner.name"), HasSubstr("holds no mixture"))));
  EXPECT_THAT(
      [&] {
        make_task(mixture({{"chain", chains(1, 2)}, {"gsm", of_file("gsm8k")}}), 1);
      },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("chain brings the tokenizer"), HasSubstr("gsm takes the"))));
  EXPECT_THAT(
      [&] {
        make_task(mixture({{"rare", of_file("gsm8k", 1)}, {"usual", of_file("jsonl", 1e6)}}), 1);
      },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("task.mixture.rare.weight"), HasSubstr("is 1 of 1000001"))));
  configs::Task unknown = of_file("gsm8k");
  unknown.name = "gsm9k";
  EXPECT_THAT(
      [&] {
        make_task(mixture({{"gsm", unknown}}), 1);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("task.mixture.gsm: unknown task 'gsm9k'")));
}

TEST(Mixture, DifficultiesOfItsTasksAreKeptApart) {
  const auto task = tokenized(mixture({{"easy", chains(1, 2)}, {"hard", chains(2, 3)}}));
  EXPECT_THAT(task->difficulties(),
              ElementsAre(Difficulty(1, "easy"), Difficulty(2, "easy"), Difficulty(2, "hard"), Difficulty(3, "hard")));
  for (const Difficulty& difficulty : task->difficulties())
    EXPECT_EQ(task->problem(Split::kTrain, 4, difficulty).difficulty_in_task(), difficulty);
  EXPECT_THROW(task->problem(Split::kTrain, 4, {3, "easy"}), std::invalid_argument);
  EXPECT_THROW(task->problem(Split::kTrain, 4, {2, "other"}), std::invalid_argument);
  EXPECT_THROW(task->problem(Split::kTrain, 4, 2), std::invalid_argument);
}

// The forms of a problem are those of its own task, with the shares that this task gives them.
TEST(Mixture, EachTaskHasItsOwnSharesOfForms) {
  configs::Task easy = chains(1, 1, 3), hard = chains(2, 2, 1);
  easy.forms = {{"direct", 1}};
  hard.forms = {{"verbose", 1}, {"compact", 1}};
  const auto task = tokenized(mixture({{"easy", easy}, {"hard", hard}}));
  EXPECT_THAT(task->forms(), ElementsAre("recheck", "verbose", "compact", "states", "direct"));
  EXPECT_THAT(task->form_shares(), ElementsAre(0, 0.125, 0.125, 0, 0.75));
  int64_t seen = 0;
  for (int64_t i = 0; i < 20; ++i) {
    const Problem problem = task->problem(Split::kTrain, i);
    if (problem.task == "easy") {
      EXPECT_THAT(task->form_shares(problem), ElementsAre(0, 0, 0, 0, 1));
    } else {
      EXPECT_THAT(task->form_shares(problem), ElementsAre(0, 0.5, 0.5, 0, 0));
      ++seen;
    }
  }
  EXPECT_GT(seen, 0);
  // In batches to learn from, a direct trace has 3 tokens, a verbose one 15 and a compact one 9.
  TraceStream stream(*task, 200, 5);
  const data::Batch batch = stream.next(0, 200);
  const int32_t* start = batch.segments.data_ptr<int32_t>();
  for (int64_t i = 0; i < batch.segment_count(); ++i) {
    const Problem problem = task->problem(Split::kTrain, index_in(IndexSpace::kSft, i));
    const int64_t length = start[i + 1] - start[i] - std::ssize(problem.prompt);
    if (problem.task == "easy") {
      ASSERT_EQ(length, 3);
    } else {
      ASSERT_TRUE(length == 15 || length == 9) << length;
    }
  }
}

// One task's verifier waits until it is released, the other one answers at once.
class Waiting final : public Task {
 public:
  class Part final : public Task {
   public:
    explicit Part(bool waits) : waits_(waits) {}
    std::string name() const override { return "part"; }
    Item item(Split, int64_t index) const override {
      return {.index = index, .prompt = {{"user", "?"}}, .task = waits_ ? "slow" : "fast"};
    }
    Verdict verify(const Item&, const Response&) const override { return verdict(true); }
    VerifierOptions verifier_options() const override { return {.threads = 1, .deadline = 1000}; }

   private:
    bool waits_;
  };

  std::string name() const override { return "waiting"; }
  std::vector<Task::Part> parts() const override { return {{"slow", &slow_}, {"fast", &fast_}}; }
  Item item(Split split, int64_t index) const override { return (index % 2 == 0 ? slow_ : fast_).item(split, index); }
  Verdict verify(const Item& item, const Response& response) const override {
    if (item.task == "slow") {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return released_; });
    }
    return fast_.verify(item, response);
  }
  void release() const {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  Part slow_{true}, fast_{false};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable bool released_ = false;
};

TEST(Mixture, ASlowVerifierOfOneTaskDoesNotHoldUpTheOther) {
  const TokenizedTask task(std::make_unique<Waiting>(),
                           data::ChatFormat::plain(std::make_shared<data::ByteTokenizer>()), 1);
  std::vector<std::future<Verdict>> slow;
  for (int i = 0; i < 20; ++i) slow.push_back(task.submit(task.problem(Split::kEval, 0), {task.tokenizer().eos()}));
  EXPECT_TRUE(task.submit(task.problem(Split::kEval, 1), {task.tokenizer().eos()}).get().correct);
  for (const auto& each : slow) EXPECT_NE(each.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  dynamic_cast<const Waiting&>(task.text()).release();
  for (auto& each : slow) EXPECT_TRUE(each.get().correct);
}

}  // namespace
}  // namespace terse::rl
