// Tests that all violated limits between sections are reported at once, with both numbers.
#include "rl/tasks/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/load.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "rl/compression/curriculum.h"
#include "rl/eval/evaluation.h"
#include "rl/rollout_source.h"
#include "tests/support/temporary_folder.h"

namespace terse::rl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Problems of two operations: prompts of 7 tokens, traces of up to 28 (recheck), 15 (verbose), ..; responses up to 40.
configs::RunConfig config(int64_t max_seq_len, std::vector<std::string> stages) {
  configs::RunConfig config = default_config();
  config.stages = std::move(stages);
  config.task.options.set("k_max", 2);
  config.task.options.set("align_to", 2);
  config.model.max_seq_len = max_seq_len;
  config.sft.steps = config.rl.steps = config.pretrain.steps = 1;
  return config;
}

std::string refusal(const configs::RunConfig& config, const std::map<std::string, std::string>& origin = {}) {
  try {
    check_limits(config, origin);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Limits, APromptAndItsResponseMustFitIntoTheContext) {
  EXPECT_EQ(refusal(config(47, {"eval"})), "accepted");
  EXPECT_THAT(refusal(config(46, {"eval"})),
              AllOf(HasSubstr("model.max_seq_len: is 46, but generation needs 47"), HasSubstr("prompt has 7 tokens"),
                    HasSubstr("a response may have 40"), HasSubstr("engine.max_new_tokens")));
}

TEST(Limits, AShorterResponseNeedsLessRoomInRolloutsAndEvaluationsAlike) {
  configs::RunConfig shorter = config(27, {"eval"});
  shorter.engine.max_new_tokens = 20;
  EXPECT_EQ(refusal(shorter), "accepted");
  shorter.engine.max_new_tokens = 21;
  EXPECT_THAT(refusal(shorter), HasSubstr("is 27, but generation needs 28"));
}

TEST(Limits, DemonstrationsOfFineTuningMustFit) {
  configs::RunConfig sft = config(35, {"sft"});
  sft.engine.max_new_tokens = 20;
  EXPECT_EQ(refusal(sft), "accepted");
  sft.model.max_seq_len = 34;
  EXPECT_THAT(refusal(sft), AllOf(HasSubstr("is 34, but sft needs 35"), HasSubstr("(form recheck) has 28 tokens")));
  sft.task.forms = {{"recheck", 0}, {"verbose", 1}};
  EXPECT_EQ(refusal(sft), "accepted") << "forms without a share are never shown";
}

TEST(Limits, DemonstrationsAndTracesOfTheStudentMustFitWhereTheyAreUsed) {
  configs::RunConfig rl = config(22, {"rl"});
  rl.engine.max_new_tokens = 5;
  EXPECT_EQ(refusal(rl), "accepted");
  rl.model.max_seq_len = 21;
  EXPECT_THAT(refusal(rl), AllOf(HasSubstr("rl.demonstrations needs 22"), HasSubstr("rl.student needs 22"),
                                 HasSubstr("2 limits"), HasSubstr("(form verbose) has 15 tokens")));
  rl.rl.demonstrations = 0;
  EXPECT_THAT(refusal(rl), AllOf(Not(HasSubstr("rl.demonstrations")), HasSubstr("rl.student needs 22")));
  rl.rl.student.updates = 0;
  EXPECT_EQ(refusal(rl), "accepted");
  rl.rl.demonstrations = 8;
  rl.rl.penalty.kind = "none";
  EXPECT_EQ(refusal(rl), "accepted") << "only the adaptive penalty has demonstrations and a student";
}

// check_limits() assumes this of the curriculum: no level after level 0 has a longer trace than the second form.
TEST(Limits, NoDemonstratedLevelIsLongerThanTheFormsAfterTheFirst) {
  const auto task = open_task(default_config().task, 1);
  const Curriculum curriculum(*task);
  const Problem hardest = task->problem(Split::kTrain, 0, task->difficulties().back());
  EXPECT_EQ(std::ssize(curriculum.trace(hardest, 0)), task->max_trace_tokens(task->forms()[0]));
  for (int64_t level = 1; level < curriculum.count(); ++level)
    EXPECT_LE(std::ssize(curriculum.trace(hardest, level)), task->max_trace_tokens(task->forms()[1])) << level;
}

TEST(Limits, ATruncationThatCouldNeverActIsRefused) {
  configs::RunConfig rl = config(64, {"rl"});
  rl.rl.penalty = {"truncation", 40, 0.3};
  EXPECT_EQ(refusal(rl), "accepted");
  rl.rl.penalty.limit = 41;
  EXPECT_THAT(refusal(rl), AllOf(HasSubstr("rl.penalty.limit: is 41"), HasSubstr("longer than 40 tokens")));
  rl.engine.max_new_tokens = 41;
  EXPECT_EQ(refusal(rl), "accepted");
}

TEST(Limits, EverythingIsTold) {
  configs::RunConfig bad = config(20, {"sft", "rl"});
  EXPECT_THAT(refusal(bad, {{"model.max_seq_len", "a.yaml:7"}, {"task.k_max", "--set"}}),
              AllOf(HasSubstr("4 limits"), HasSubstr("sft needs 35"), HasSubstr("rl.demonstrations needs 22"),
                    HasSubstr("rl.student needs 22"), HasSubstr("generation needs 47"),
                    HasSubstr("(model.max_seq_len: a.yaml:7, task.k_max: --set)")));
}

TEST(Limits, PretrainingAloneHasNone) {
  EXPECT_EQ(refusal(config(1, {"pretrain"})), "accepted");
}

TEST(Limits, ShippedConfigurationsHoldThem) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(TERSE_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() != ".yaml") continue;
    configs::RunConfig config =
        configs::load(entry.path().string(), {}, configs::InputFiles::kMayBeMissing, default_config()).config;
    // A task that reads a file gets its sample.
    const auto sample =
        std::filesystem::path(TERSE_SOURCE_DIR) / "tests/rl/tasks/samples" / (config.task.name + ".jsonl");
    if (std::filesystem::exists(sample)) config.task.path = sample.string();
    // A program that needs packages of its own gives way to one that needs none.
    if (config.task.name == "external")
      config.task.options.set("command",
                              std::vector<std::string>{"python3", TERSE_SOURCE_DIR "/scripts/tasks/example_task.py"});
    EXPECT_EQ(refusal(config), "accepted") << entry.path();
    ++files;
  }
  EXPECT_GE(files, 6);
}

configs::RunConfig words(int64_t max_seq_len, std::vector<std::string> stages) {
  configs::RunConfig run = config(max_seq_len, std::move(stages));
  run.task.name = "gsm8k";
  run.task.path = TERSE_SOURCE_DIR "/tests/rl/tasks/samples/gsm8k.jsonl";
  run.rl.penalty.kind = "none";
  return run;
}

TEST(Limits, OfATaskFromAFileAreThoseOfItsItems) {
  const std::string room = refusal(words(10, {"eval"}));
  EXPECT_THAT(room, HasSubstr("model.max_seq_len: is 10, but generation needs"));
  EXPECT_EQ(refusal(words(400, {"sft", "rl"})), "accepted");
  configs::RunConfig adaptive = words(400, {"sft", "rl"});
  adaptive.rl.penalty.kind = "adaptive";
  EXPECT_THAT(refusal(adaptive), AllOf(HasSubstr("rl.penalty.kind: is adaptive"), HasSubstr("task gsm8k")));
}

TEST(Limits, ATaskThatBringsItsTokenizerRefusesAnother) {
  configs::RunConfig both = config(64, {"pretrain", "rl"});
  both.tokenizer.kind = "byte";
  EXPECT_THAT(refusal(both), AllOf(HasSubstr("tokenizer.kind: is byte"), HasSubstr("task chain7 brings the tokens")));
  both.stages = {"rl"};
  EXPECT_EQ(refusal(both), "accepted") << "without pretraining the tokenizer of the config has no use";
}

// A task has tokens of its own, in which no conversation is written, and the weights of another model mean others.
TEST(Limits, ATaskThatBringsItsTokenizerRefusesConversationsAndModelsWithAnother) {
  const support::TemporaryFolder folder;
  configs::RunConfig run = config(64, {"sft", "eval"});
  run.sft.train = "chats.jsonl";
  EXPECT_THAT(refusal(run), AllOf(HasSubstr("sft.train: names conversations, but task chain7 brings the tokens"),
                                  HasSubstr("name another task with task.name")));
  run.stages = {"sft"};
  EXPECT_EQ(refusal(run), "accepted") << "the run has no task";
  run = config(64, {"eval"});
  run.model.init = folder.path().string();
  EXPECT_EQ(refusal(run), "accepted") << "the model has no tokenizer";
  data::save_tokenizer(folder / "tokenizer.json", *open_task(run.task, 1)->chat()->shared_tokenizer());
  EXPECT_EQ(refusal(run), "accepted") << "the model has the same tokenizer";
  data::save_tokenizer(folder / "tokenizer.json", data::ByteTokenizer());
  EXPECT_THAT(refusal(run), AllOf(HasSubstr("task.name: is chain7"), HasSubstr(folder.path().string()),
                                  HasSubstr("was trained with byte")));
}

TEST(Limits, EveryTokenNeedsARowInTheEmbeddings) {
  configs::RunConfig run = words(400, {"eval"});
  run.model.vocab_size = 258;
  EXPECT_EQ(refusal(run), "accepted");
  run.model.vocab_size = 257;
  EXPECT_EQ(refusal(run, {{"model.vocab_size", "derived from model.init"}}),
            "model.vocab_size: is 257, but the tokenizer of the run has 258 tokens (model.vocab_size: derived from "
            "model.init)");
}

TEST(ResponseLimit, IsOneForRolloutsAndEvaluations) {
  const auto task = open_task(default_config().task, 1);
  configs::RunConfig run = default_config();
  EXPECT_EQ(response_limit(run, *task), task->max_response_tokens());
  run.engine.max_new_tokens = 9;
  EXPECT_EQ(response_limit(run, *task), 9);
  EXPECT_EQ(rollout_sampling(run, *task).max_new_tokens, 9);
  EXPECT_EQ(full_evaluation(run, *task).max_new_tokens, 9);
  EXPECT_EQ(quick_evaluation(run, *task).max_new_tokens, 9);
}

}  // namespace
}  // namespace terse::rl
