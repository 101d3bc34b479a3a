// Tests the answers, the splits and the mistakes of files in the format of gsm8k. TERSE_GSM8K=FILE adds a file of your
// own, such as the published test set, to those whose reference answers are judged.
#include "rl/tasks/files/gsm8k.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/checksum.h"
#include "base/errors.h"
#include "tests/support/temporary_folder.h"

namespace terse::rl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const std::string kSample = TERSE_SOURCE_DIR "/tests/rl/tasks/samples/gsm8k.jsonl";

std::unique_ptr<Task> gsm8k(const std::string& path, const std::string& eval_path = "") {
  configs::Task config = default_config().task;
  config.name = "gsm8k";
  config.path = path;
  config.eval_path = eval_path;
  return make_gsm8k(config, 1);
}

class Gsm8k : public ::testing::Test {
 protected:
  std::string file(const std::string& text, const std::string& name = "a.jsonl") {
    const std::filesystem::path path = folder_.path() / name;
    std::ofstream(path) << text;
    return path.string();
  }
  // The task whose only training item has this answer.
  std::unique_ptr<Task> with_answer(const std::string& answer) {
    const std::string line = nlohmann::json{{"question", "How many?"}, {"answer", answer}}.dump() + "\n";
    return gsm8k(file(line), file(line, "b.jsonl"));
  }
  bool accepts(const std::string& reference, const std::string& response, bool finished = true) {
    const auto task = with_answer("So it is.\n#### " + reference);
    const Verdict verdict = task->verify(task->item(Split::kTrain, 0), {response, finished});
    EXPECT_EQ(verdict.status, VerifyStatus::kOk);
    EXPECT_EQ(verdict.score, verdict.correct ? 1 : 0);
    return verdict.correct;
  }
  support::TemporaryFolder folder_;
};

TEST_F(Gsm8k, EqualNumbersAreRightInAnySpelling) {
  for (const char* response : {"#### 72", "####72", "We add.\n#### 72\n", "#### $72", "#### 72.0", "#### 72.",
                               "#### 072", "72", "#### 72 apples", "The answer is $72."})
    EXPECT_TRUE(accepts("72", response)) << response;
  EXPECT_TRUE(accepts("1,000", "#### 1000"));
  EXPECT_TRUE(accepts("1000", "#### 1,000.00"));
  EXPECT_TRUE(accepts("-5", "#### -5.0"));
  EXPECT_TRUE(accepts("0.5", "#### .50"));
  EXPECT_TRUE(accepts("0", "#### -0"));
}

TEST_F(Gsm8k, AnythingElseIsWrong) {
  for (const char* response :
       {"", "#### 73", "#### -72", "#### 720", "#### 72.01", "#### seventy-two", "####", "#### 7 2", "#### 72\n#### 5",
        "#### 5\nNo:\n#### 72", "#### 71 or 72", "#### 7.2", "#### 72.0.0", "#### --72", "### 72"})
    EXPECT_FALSE(accepts("72", response)) << response;
  EXPECT_FALSE(accepts("72", "#### 72", /*finished=*/false)) << "a response that was cut might have gone on";
}

TEST_F(Gsm8k, SolutionsLackTheCalculatorMarksThatCountAsDifficulty) {
  const auto task = with_answer("48/2 = <<48/2=24>>24 in May.\n48+24 = <<48+24=72>>72 in all.\n#### 72");
  const Item item = task->item(Split::kTrain, 0);
  EXPECT_EQ(item.difficulty, 2);
  EXPECT_EQ(item.answer, "72");
  ASSERT_EQ(item.prompt.size(), 1u);
  EXPECT_EQ(item.prompt[0].role, "user");
  EXPECT_EQ(item.prompt[0].content, "How many?");
  EXPECT_EQ(item.plain_separator, "\n") << "a chat template separates the response by its own tokens";
  EXPECT_EQ(task->demonstrations()->solution(item, "solution"), "48/2 = 24 in May.\n48+24 = 72 in all.\n#### 72");
}

TEST_F(Gsm8k, SignsThatAreNoCalculatorMarksStay) {
  for (const std::string text : {"8 >> 7, and 1 << 2.\n#### 72", "1 << 2.\n#### 72", "8 >> 7.\n#### 72"}) {
    const auto task = with_answer(text);
    const Item item = task->item(Split::kTrain, 0);
    EXPECT_EQ(item.difficulty, 0);
    EXPECT_EQ(task->demonstrations()->solution(item, "solution"), text);
  }
}

TEST_F(Gsm8k, WithoutAnEvaluationFileAPartIsHeldOut) {
  const auto task = gsm8k(kSample);
  const int64_t train = *task->size(Split::kTrain), eval = *task->size(Split::kEval);
  EXPECT_EQ(train + eval, 120);
  EXPECT_GE(eval, 1);
  EXPECT_LE(eval, 20);
  EXPECT_EQ(gsm8k(kSample, kSample)->size(Split::kEval), 120);
  for (int64_t i = 0; i < eval; ++i) {
    const std::string text = task->item(Split::kEval, i).prompt[0].content + "\n";
    EXPECT_EQ(xxh3(text.data(), text.size(), 0) % 20, 0u) << "older builds held out other problems";
  }
}

TEST_F(Gsm8k, ReferenceAnswersAreRightAndChangedOnesWrong) {
  std::vector<std::string> files = {kSample};
  if (const char* given = std::getenv("TERSE_GSM8K")) files.emplace_back(given);
  for (const std::string& path : files) {
    const auto task = gsm8k(path, path);
    const int64_t size = *task->size(Split::kEval);
    int64_t right = 0, wrong = 0;
    for (int64_t i = 0; i < size; ++i) {
      const Item item = task->item(Split::kEval, i);
      right += task->verify(item, {task->demonstrations()->solution(item, "solution"), true}).correct ? 1 : 0;
      std::string changed = task->demonstrations()->solution(item, "solution");
      char& last = changed[changed.find_last_of("0123456789")];
      last = last == '9' ? '1' : static_cast<char>(last + 1);
      wrong += task->verify(item, {changed, true}).correct ? 0 : 1;
    }
    EXPECT_EQ(right, size) << path;
    EXPECT_EQ(wrong, size) << path;
    std::printf("%s: %ld reference answers right, %ld changed ones wrong\n", path.c_str(), right, wrong);
  }
}

TEST_F(Gsm8k, FilesOfOtherSystemsAreRead) {
  const std::string path = file(
      "\xEF\xBB\xBF{\"question\": \"q\", \"answer\": \"#### 1\"}\r\n \r\n{\"question\": \"r\", \"answer\": "
      "\"#### 2\"}");
  EXPECT_EQ(gsm8k(path, path)->size(Split::kTrain), 2);
  EXPECT_THAT([&] { gsm8k(file("PAR1")); }, ThrowsMessage<DataError>(HasSubstr("Parquet")));
}

TEST_F(Gsm8k, MistakesInAFileAreNamedWithTheirLine) {
  const auto refused = [&](const std::string& second, const std::string& what) {
    const std::string path = file("{\"question\": \"q\", \"answer\": \"#### 1\"}\n" + second + "\n");
    EXPECT_THAT([&] { gsm8k(path); }, ThrowsMessage<DataError>(AllOf(HasSubstr(path + ", line 2: "), HasSubstr(what))));
  };
  refused("{\"question\": ", "not JSON");
  refused("{\"question\": \"q\", \"question\": \"r\", \"answer\": \"#### 1\"}", "the same key twice");
  refused("{\"question\": \"q\", \"answer\": " + std::string(1000000, '[') + "}", "deeper than 64 levels");
  refused("{\"question\": \"\xFF\"}", "not UTF-8 at byte 14");
  refused("[1]", "expected a JSON object");
  refused("{\"answer\": \"#### 1\"}", "expected a string \"question\"");
  refused("{\"question\": \"q\", \"answer\": 5}", "expected a string \"answer\"");
  refused("{\"question\": \"q\", \"answer\": \"5\"}", "#### and a number");
  refused("{\"question\": \"q\", \"answer\": \"#### five\"}", "#### and a number");
  EXPECT_THAT([&] { gsm8k(file("")); }, ThrowsMessage<DataError>(HasSubstr("no problem to train on")));
  EXPECT_THAT([&] { gsm8k(""); }, ThrowsMessage<ConfigError>(HasSubstr("task.path is empty")));
  EXPECT_THAT([&] { gsm8k("no/such/file"); }, ThrowsMessage<DiskError>(HasSubstr("no/such/file")));
}

}  // namespace
}  // namespace terse::rl
