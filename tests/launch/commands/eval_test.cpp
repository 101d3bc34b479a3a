// Tests terse eval on models that tell no task: the task comes from the command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/launch/model_of_others.h"
#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class EvalCommand : public ::testing::Test {
 protected:
  EvalCommand() {
    make_model_of_others(folder_ / "my model");
    folder_.write("train.jsonl", R"({"question": "1+1", "answer": "#### 2"})");
    folder_.write("test.jsonl", R"({"question": "2+2", "answer": "#### 4"})");
  }
  Result run(const std::vector<std::string>& arguments) const { return terse(arguments, {.folder = folder_.path()}); }

  TemporaryFolder folder_;
};

TEST_F(EvalCommand, TheCommandThatItAdvisesWorks) {
  const Result advice = run({"eval", "my model"});
  EXPECT_EQ(advice.code, 64);
  EXPECT_THAT(advice.err, EndsWith("\nterse eval 'my model' --task gsm8k --set task.path=train.jsonl --set "
                                   "task.eval_path=test.jsonl\n"));
  const Result pasted = run(
      {"eval", "my model", "--task", "gsm8k", "--set", "task.path=train.jsonl", "--set", "task.eval_path=test.jsonl"});
  EXPECT_EQ(pasted.code, 0) << pasted.err;
  EXPECT_THAT(pasted.out, AllOf(HasSubstr("gsm8k, 4 samples of each problem"), HasSubstr("all")));
}

TEST_F(EvalCommand, AFileMayNameTheTask) {
  folder_.write("eval.yaml", "stages: [eval]\ntask: {name: gsm8k, path: train.jsonl, eval_path: test.jsonl}\n");
  const Result result = run({"eval", "my model", "--config", "eval.yaml", "--samples", "2", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const nlohmann::json eval = nlohmann::json::parse(result.out);
  EXPECT_EQ(eval.at("task"), "gsm8k");
  EXPECT_EQ(eval.at("samples"), 2);
  const Result missing = run({"eval", "my model", "--config", "nowhere.yaml"});
  EXPECT_EQ(missing.code, 78);
  EXPECT_THAT(missing.err, HasSubstr("nowhere.yaml"));
}

TEST_F(EvalCommand, ATaskWithOtherTokensIsRefused) {
  const Result result = run({"eval", "my model", "--task", "chain7"});
  EXPECT_EQ(result.code, 78);
  EXPECT_THAT(result.err, AllOf(HasSubstr("task.name: is chain7"), HasSubstr("name a task without tokens of its own")));
}

}  // namespace
}  // namespace terse::launch::testing
