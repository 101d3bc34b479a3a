// Tests what a line of a jsonl file may hold, how its answers are judged, and what each mistake in a file is called.
#include "rl/tasks/files/jsonl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/errors.h"
#include "tests/support/temporary_folder.h"

namespace terse::rl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const std::string kOther = R"({"prompt": "other", "answer": 1, "solution": "s"})";

class JsonlTask : public ::testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_.path() / name;
    std::ofstream(path) << text;
    return path.string();
  }
  // The task that trains on these lines and evaluates on another one.
  std::unique_ptr<Task> task_of(const std::string& lines, const std::string& answer = "number",
                                const std::string& eval = kOther) {
    return task_of_files(file("a.jsonl", lines + "\n"), file("b.jsonl", eval + "\n"), answer);
  }
  std::unique_ptr<Task> task_of_files(const std::string& path, const std::string& eval_path,
                                      const std::string& answer = "number") {
    configs::Task config = default_config().task;
    config.name = "jsonl";
    config.path = path;
    config.eval_path = eval_path;
    config.options.set("answer", answer);
    return make_jsonl(config, 1);
  }
  // The verdict about a response to a problem with this reference answer, in JSON.
  bool accepts(const std::string& kind, const std::string& reference, const Response& response) {
    const std::string eval = R"({"prompt": "e", "answer": )" + reference + "}";
    const auto task = task_of(R"({"prompt": "p", "answer": )" + reference + "}", kind, eval);
    const Verdict verdict = task->verify(task->item(Split::kTrain, 0), response);
    EXPECT_EQ(verdict.status, VerifyStatus::kOk);
    EXPECT_EQ(verdict.score, verdict.correct ? 1 : 0);
    return verdict.correct;
  }
  support::TemporaryFolder folder_;
};

TEST_F(JsonlTask, ReadsEveryKey) {
  const auto task = task_of(R"({"prompt": "1+1?\n", "answer": 2, "difficulty": 3, "solution": "2", "source": "me"}
{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}], "answer": "0.5", "solution": "x"}

{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}], "answer": -1.25, "solution": "y"})");
  ASSERT_EQ(task->size(Split::kTrain), 3);
  const Item first = task->item(Split::kTrain, 0), second = task->item(Split::kTrain, 1),
             third = task->item(Split::kTrain, 2);
  ASSERT_EQ(first.prompt.size(), 1u);
  EXPECT_EQ(first.prompt[0].role, "user");
  EXPECT_EQ(first.prompt[0].content, "1+1?\n");
  EXPECT_EQ(first.answer, "2");
  EXPECT_EQ(first.difficulty, 3);
  EXPECT_EQ(task->demonstrations()->solution(first, "solution"), "2");
  ASSERT_EQ(second.prompt.size(), 2u);
  EXPECT_EQ(second.prompt[0].role, "system");
  EXPECT_EQ(second.prompt[0].content, "S");
  EXPECT_EQ(second.prompt[1].content, "U");
  EXPECT_EQ(second.answer, "0.5");
  EXPECT_EQ(second.difficulty, kNoDifficulty);
  EXPECT_EQ(third.prompt.size(), 3u);
  EXPECT_EQ(third.answer, "-1.25");
  EXPECT_EQ(third.index, 2);
  EXPECT_THROW(task->demonstrations()->solution(third, "verbose"), std::invalid_argument);
}

TEST_F(JsonlTask, ShowsSolutionsOnlyWhereEveryTrainingLineHasOne) {
  const std::string with = R"({"prompt": "p", "answer": 1, "solution": "1"})",
                    without = R"({"prompt": "q", "answer": 1})";
  EXPECT_NE(task_of(with)->demonstrations(), nullptr);
  EXPECT_NE(task_of(with, "number", without)->demonstrations(), nullptr) << "nobody learns from evaluation problems";
  EXPECT_EQ(task_of(with + "\n" + without)->demonstrations(), nullptr);
}

TEST_F(JsonlTask, TheOptionDecidesHowAnswersAreJudged) {
  EXPECT_TRUE(accepts("number", "72", {"So:\n#### 72.0", true}));
  EXPECT_FALSE(accepts("number", "72", {"#### 71", true}));
  EXPECT_FALSE(accepts("number", "72", {"#### 72", false})) << "a response that was cut might have gone on";
  EXPECT_TRUE(accepts("choice", R"("B")", {"The answer is (B).", true}));
  EXPECT_FALSE(accepts("choice", R"("B")", {"The answer is (C).", true}));
  EXPECT_TRUE(accepts("exact", R"("New York")", {"new  york", true}));
  EXPECT_FALSE(accepts("exact", R"("New York")", {"York", true}));
  EXPECT_TRUE(accepts("regex", R"("[ab]+c")", {"abac", true}));
  EXPECT_FALSE(accepts("regex", R"("[ab]+c")", {"abacc", true}));
  EXPECT_TRUE(accepts("expression", R"("2*x+2")", {"2(x+1)", true}));
  EXPECT_FALSE(accepts("expression", R"("2*x+2")", {"2(x+2)", true}));
}

TEST_F(JsonlTask, OnlyTheAnswerOfAResponseCounts) {
  const std::string text = "<think>72</think>71";
  EXPECT_FALSE(accepts("number", "72", {text, true, text.size() - 2}));
  EXPECT_TRUE(accepts("number", "71", {text, true, text.size() - 2}));
  EXPECT_FALSE(accepts("number", "72", {"72", true, std::string::npos})) << "the thinking does not end";
}

TEST_F(JsonlTask, ThePartOfTheScoreSaysWhetherThereIsAnAnswerOfTheKind) {
  const auto task = task_of(R"({"prompt": "p", "answer": 72})");
  const auto part = [&](const std::string& text) {
    return task->verify(task->item(Split::kTrain, 0), {text, true}).parts.at("has_answer");
  };
  EXPECT_EQ(part("72"), 1);
  EXPECT_EQ(part("71"), 1);
  EXPECT_EQ(part("I do not know"), 0);
}

// A problem stays in its split when others are added or removed, wherever it stands in the file.
TEST_F(JsonlTask, WithoutAnEvaluationFileAPartIsHeldOutByContent) {
  const auto line = [](int64_t i) {
    return R"({"prompt": "problem )" + std::to_string(i) +
           R"(", "answer": 1})"
           "\n";
  };
  std::string all, other_half;
  for (int64_t i = 0; i < 400; ++i) all += line(i);
  for (int64_t i = 399; i >= 0; i -= 2) other_half += line(i);
  const auto held_out = [&](const std::string& lines) {
    const auto task = task_of_files(file("all.jsonl", lines), "");
    std::set<std::string> prompts;
    for (int64_t i = 0; i < *task->size(Split::kEval); ++i)
      prompts.insert(task->item(Split::kEval, i).prompt[0].content);
    return prompts;
  };
  const std::set<std::string> of_all = held_out(all), of_half = held_out(other_half);
  EXPECT_GE(of_all.size(), 8u);  // 20 are expected, with a deviation of 4.4
  EXPECT_LE(of_all.size(), 36u);
  EXPECT_GE(of_half.size(), 1u);
  EXPECT_TRUE(std::includes(of_all.begin(), of_all.end(), of_half.begin(), of_half.end()));
  int64_t kept = 0;
  while (of_all.contains("problem " + std::to_string(kept))) ++kept;
  EXPECT_THAT([&] { task_of_files(file("few.jsonl", line(kept)), ""); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("no problem to evaluate on"), HasSubstr("none of the 1 here is"),
                                             HasSubstr("set task.eval_path"))));
}

TEST_F(JsonlTask, MistakesAreNamedWithFileLineAndKey) {
  const auto refused = [&](const std::string& second, const std::string& what, const std::string& kind = "number") {
    const std::string first =
        kind == "choice" ? R"({"prompt": "p", "answer": "A"})" : R"({"prompt": "p", "answer": 1})";
    const std::string place = (folder_.path() / "a.jsonl").string() + ", line 2: ";
    EXPECT_THAT([&] { task_of(first + "\n" + second, kind, first); },
                ThrowsMessage<DataError>(AllOf(HasSubstr(place), HasSubstr(what))))
        << second;
  };
  refused(R"({"prompt": )", "not JSON");
  refused(R"({"prompt": "p", "answer": 1, "answer": 2})", "the same key twice");
  refused("[1]", "expected a JSON object");
  refused(R"({"answer": 1})", "neither \"prompt\" nor \"messages\"");
  refused(R"({"prompt": "p", "messages": [], "answer": 1})", "both \"prompt\" and \"messages\"");
  refused(R"({"prompt": 5, "answer": 1})", "\"prompt\" is 5; expected a string");
  refused(R"({"prompt": "", "answer": 1})", "\"prompt\" is \"\"; expected a string that is not empty");
  refused(R"({"messages": [], "answer": 1})", "\"messages\": it is []; expected a list of 1 to 1000 messages");
  refused(R"({"messages": [{"role": "tool", "content": ""}], "answer": 1})", "\"messages\": a role is \"tool\"");
  refused(R"({"messages": [{"role": "user", "text": ""}], "answer": 1})",
          "\"messages\": a message has the unknown key");
  refused(R"({"messages": [{"role": "user", "content": 1}], "answer": 1})", "\"content\" is 1; expected a string");
  refused(R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "1"}], "answer": 1})",
          "the last message is of the assistant");
  refused(R"({"prompt": "p"})", "\"answer\" is missing; expected a text or a number");
  refused(R"({"prompt": "p", "answer": true})", "\"answer\" is true; expected a text or a number");
  refused(R"({"prompt": "p", "answer": 123456789012345678901234567890})", "write it as a text");
  refused(R"({"prompt": "p", "answer": "five"})", "\"answer\" is \"five\", which is no answer of the kind number");
  refused(R"({"prompt": "p", "answer": ""})", "no answer of the kind exact", "exact");
  refused(R"({"prompt": "p", "answer": "["})", "no answer of the kind regex", "regex");
  refused(R"({"prompt": "p", "answer": "Paris"})", "no answer of the kind choice", "choice");
  refused(R"({"prompt": "p", "answer": "(2"})", "no answer of the kind expression", "expression");
  refused(R"({"prompt": "p", "answer": 1, "difficulty": -1})", "\"difficulty\" is -1; expected a whole number from 0");
  refused(R"({"prompt": "p", "answer": 1, "difficulty": 1.5})", "\"difficulty\" is 1.5");
  refused(R"({"prompt": "p", "answer": 1, "difficulty": "hard"})", "\"difficulty\" is \"hard\"");
  refused(R"({"prompt": "p", "answer": 1, "difficulty": 1000001})", "\"difficulty\" is 1000001");
  refused(R"({"prompt": "p", "answer": 1, "solution": 1})", "\"solution\" is 1; expected a string");
  refused(R"({"prompt": "p", "answer": 1, "dificulty": 1})", "unknown key \"dificulty\"; did you mean \"difficulty\"?");
  refused(R"({"Prompt": "p", "answer": 1})", "unknown key \"Prompt\"; did you mean \"prompt\"?");
}

TEST_F(JsonlTask, FilesThatAreMissingOrEmptyAreNamed) {
  EXPECT_THAT([&] { task_of_files("", ""); }, ThrowsMessage<ConfigError>(HasSubstr("task.path is empty")));
  EXPECT_THAT([&] { task_of_files("no/such/file", ""); },
              ThrowsMessage<DiskError>(AllOf(HasSubstr("task.path"), HasSubstr("no/such/file"))));
  const std::string some = file("some.jsonl", kOther), none = file("none.jsonl", "\n");
  EXPECT_THAT([&] { task_of_files(some, "no/such/file"); },
              ThrowsMessage<DiskError>(AllOf(HasSubstr("task.eval_path"), HasSubstr("no/such/file"))));
  EXPECT_THAT([&] { task_of_files(none, some); },
              ThrowsMessage<DataError>(HasSubstr(none + " has no problem to train on")));
  EXPECT_THAT([&] { task_of_files(some, none); },
              ThrowsMessage<DataError>(HasSubstr(none + " has no problem to evaluate on")));
}

TEST_F(JsonlTask, AProblemToTrainOnThatIsAlsoOneToEvaluateOnIsRefused) {
  const std::string lines = kOther + "\n" + R"({"prompt": "p", "answer": 1})" + "\n" + kOther;
  EXPECT_THAT([&] { task_of(lines); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("a.jsonl, line 1: its prompt is also that of "),
                                             HasSubstr("b.jsonl, line 1"), HasSubstr("(2 lines of "))));
  // The role counts as well as the text, and a file may repeat its own problems.
  const std::string system =
      R"({"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "other"}], "answer": 1})";
  EXPECT_EQ(task_of(system + "\n" + system)->size(Split::kTrain), 2);
}

}  // namespace
}  // namespace terse::rl
