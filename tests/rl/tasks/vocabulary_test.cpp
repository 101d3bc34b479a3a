// Tests that a start makes its task and its tokenizer once, and again only where they are no longer those of the run.
#include "rl/tasks/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/errors.h"
#include "data/tokenizers/bpe/train_bpe.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "tests/support/temporary_folder.h"

namespace terse::rl {
namespace {

namespace fs = std::filesystem;

class OpenedOnce : public ::testing::Test {
 protected:
  OpenedOnce() {
    config_.stages = {"eval"};
    config_.task.name = "gsm8k";
    config_.task.path = write("train.jsonl", "1+1");
    config_.task.eval_path = write("eval.jsonl", "2+2");
  }
  std::string write(const std::string& name, const std::string& question) const {
    std::ofstream(folder_ / name) << R"({"question": ")" << question << R"(", "answer": "#### 2"})"
                                  << "\n";
    return (folder_ / name).string();
  }
  std::shared_ptr<const data::Tokenizer> other_tokenizer() const {
    data::BpeTraining training;
    training.vocab_size = 258;
    training.special_tokens = {"<eos>"};
    return data::train_bpe_tokenizer({folder_.write("words.txt", "abab")}, training);
  }
  // Whether the run uses the task from before its start.
  bool reuses(OpenedTask opened, bool first = true) const {
    const TokenizedTask* before = opened.task.get();
    const Vocabulary vocabulary = open_vocabulary(config_, run_, first, std::move(opened));
    EXPECT_EQ(vocabulary.chat, vocabulary.task->chat());
    return vocabulary.task.get() == before;
  }

  support::TemporaryFolder folder_;
  fs::path run_ = folder_ / "run";
  configs::RunConfig config_ = default_config();
};

TEST_F(OpenedOnce, TheRunUsesTheTaskOfTheCheckOnEveryRank) {
  OpenedTask first = open_task_before_run(config_, run_), other = open_task_before_run(config_, run_);
  EXPECT_TRUE(reuses(std::move(first)));
  EXPECT_TRUE(fs::exists(run_ / "data/task-train.jsonl"));
  EXPECT_TRUE(reuses(std::move(other), /*first=*/false));
  EXPECT_TRUE(reuses(open_task_before_run(config_, run_))) << "the folder has its files now";
}

TEST_F(OpenedOnce, ATaskWithTokensOfItsOwnIsUsed) {
  config_ = default_config();
  config_.stages = {"eval"};
  EXPECT_TRUE(reuses(open_task_before_run(config_, run_)));
}

TEST_F(OpenedOnce, AFileThatHasChangedSinceIsReadAgain) {
  OpenedTask opened = open_task_before_run(config_, run_);
  write("eval.jsonl", "3+3");
  const Vocabulary vocabulary = open_vocabulary(config_, run_, true, std::move(opened));
  EXPECT_EQ(vocabulary.task->text().item(Split::kEval, 0).prompt.at(0).content, "3+3");
}

TEST_F(OpenedOnce, AnotherTokenizerInTheFolderIsUsedByTheOtherRanks) {
  OpenedTask opened = open_task_before_run(config_, run_);
  EXPECT_TRUE(reuses(open_task_before_run(config_, run_)));
  const auto kept = other_tokenizer();
  data::save_tokenizer(run_ / kTokenizerFile, *kept);
  const Vocabulary vocabulary = open_vocabulary(config_, run_, /*first=*/false, std::move(opened));
  EXPECT_EQ(vocabulary.tokenizer().id(), kept->id());
}

// A text decides the tokenizer, so the check cannot make the prompts.
TEST_F(OpenedOnce, ATaskWithoutATokenizerYetIsUsedToo) {
  config_.stages = {"pretrain", "eval"};
  std::ofstream(folder_ / "text.txt") << std::string(400, '1') << "1+2=3\n";
  config_.data.train = (folder_ / "text.txt").string();
  OpenedTask opened = open_task_before_run(config_, run_);
  ASSERT_EQ(opened.task, nullptr);
  const Task* before = opened.text.get();
  ASSERT_NE(before, nullptr);
  const Vocabulary vocabulary = open_vocabulary(config_, run_, true, std::move(opened));
  EXPECT_EQ(&vocabulary.task->text(), before);
  EXPECT_EQ(vocabulary.tokenizer().id(), "byte");
}

// Without a run folder, files in the working folder are not those of the run.
TEST_F(OpenedOnce, TheWorkingFolderIsNoRunFolder) {
  data::save_tokenizer(folder_ / kTokenizerFile, *other_tokenizer());
  fs::create_directory(folder_ / "data");
  fs::rename(config_.task.eval_path, folder_ / "data/task-train.jsonl");
  write("eval.jsonl", "2+2");
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  const OpenedTask opened = open_task_before_run(config_);
  fs::current_path(before);
  EXPECT_EQ(opened.task->tokenizer().id(), "byte");
  EXPECT_EQ(opened.task->text().item(Split::kTrain, 0).prompt.at(0).content, "1+1");
}

TEST_F(OpenedOnce, AMissingFileIsNamed) {
  fs::remove(config_.task.path);
  try {
    open_task_before_run(config_, run_);
    ADD_FAILURE() << "expected an error";
  } catch (const DiskError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(config_.task.path));
  }
}

}  // namespace
}  // namespace terse::rl
