// Runs fine-tuning and RL on a task from a file, in bytes: the run folder keeps the file, resumes without the original,
// and refuses a changed one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace terse::rl {
namespace {

namespace fs = std::filesystem;

class WordsRun : public ::testing::Test {
 protected:
  WordsRun() {
    fs::copy_file(TERSE_SOURCE_DIR "/tests/rl/tasks/samples/gsm8k.jsonl", file_);
    config_.stages = {"sft", "rl"};
    config_.run.device = "cpu";
    config_.run.log_every = 1;
    config_.task.name = "gsm8k";
    config_.task.path = file_.string();
    config_.model.layers = 1;
    config_.model.hidden_size = config_.model.intermediate_size = 16;
    config_.model.heads = 1;
    config_.model.max_seq_len = 400;
    config_.engine.max_new_tokens = 6;
    config_.sft.steps = 2;
    config_.sft.batch_size = 2;
    config_.rl.steps = 2;
    config_.rl.prompts = 2;
    config_.rl.group_size = 2;
    config_.rl.trace_every = 1;
    config_.rl.eval_every = 0;
    config_.rl.penalty.kind = "none";
    config_.eval.problems_per_difficulty = 2;
    config_.eval.samples = 2;
    config_.checkpoint.every = 1;
  }
  support::TemporaryFolder folder_;
  fs::path file_ = folder_.path() / "words.jsonl", dir_ = folder_.path() / "run";
  configs::RunConfig config_;
};

TEST_F(WordsRun, TrainsAndReportsTheBucketsItSaw) {
  fs::create_directories(dir_);
  const nlohmann::json summary = support::run_alone(config_, dir_);
  const nlohmann::json& eval = summary.at("stages").back().at("eval");
  EXPECT_EQ(eval.at("task"), "gsm8k");
  int64_t all = 0;
  for (const auto& [difficulty, bucket] : eval.at("by_difficulty").items()) {
    EXPECT_THAT(difficulty, ::testing::AnyOf("1", "2", "3"));
    EXPECT_LE(bucket.at("n").get<int64_t>(), 4) << "2 problems of 2 samples";
    all += bucket.at("n").get<int64_t>();
  }
  EXPECT_EQ(all, eval.at("n").get<int64_t>());
  EXPECT_FALSE(eval.contains("forms")) << "nothing classifies the answers";
  for (const nlohmann::json& line : support::json_lines(dir_ / "traces/rl.jsonl"))
    EXPECT_THAT(line.at("prompt").get<std::string>(), ::testing::EndsWith("\n"));
  const nlohmann::json record = support::json_lines(dir_ / "metrics.jsonl").at(3);
  EXPECT_EQ(record.at("stage"), "rl");
  EXPECT_TRUE(record.contains("reward/has_answer"));
}

TEST_F(WordsRun, ALinkToItsFileIsFollowed) {
  fs::create_directories(dir_);
  const fs::path link = folder_.path() / "link.jsonl";
  fs::create_symlink(file_, link);
  config_.task.path = link.string();
  config_.stages = {"sft"};
  support::run_alone(config_, dir_);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(dir_ / "data/task-train.jsonl")));
  EXPECT_EQ(support::read_file(dir_ / "data/task-train.jsonl"), support::read_file(file_));
}

TEST_F(WordsRun, GoesOnWithoutItsFileAndRefusesAnother) {
  fs::create_directories(dir_);
  config_.stages = {"sft"};
  support::run_alone(config_, dir_);
  config_.stages = {"sft", "rl"};
  std::ofstream(file_) << "{\"question\": \"1+1?\", \"answer\": \"#### 2\"}\n";
  EXPECT_THAT([&] { support::run_alone(config_, dir_); },
              ::testing::ThrowsMessage<ConfigError>(
                  ::testing::AllOf(::testing::HasSubstr("task.path: "), ::testing::HasSubstr("has changed since"))));
  fs::remove(file_);
  EXPECT_EQ(support::run_alone(config_, dir_).at("stages").size(), 2u);
}

}  // namespace
}  // namespace terse::rl
