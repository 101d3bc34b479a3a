// Tests the rules that tie several options together, and the places that their messages name.
#include <gmock/gmock.h>

#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

RunConfig valid() {
  return accepted(kValid);
}

TEST(Rules, AcceptTheSmallestConfiguration) {
  EXPECT_THAT(check(valid()), IsEmpty());
}

TEST(Rules, HeadsMustDivideTheHiddenSize) {
  EXPECT_EQ(
      refusal(kValid + "model:\n  heads: 5\n"),
      "my.yaml:5:3: model.heads: 5 heads do not divide hidden size 64; choose a divisor of 64, or set model.head_dim");
  EXPECT_THAT(refusal(kValid + "model: {heads: 5, hidden_size: 96}\n"),
              HasSubstr("(model.heads: my.yaml:4, model.hidden_size: my.yaml:4)"));
  EXPECT_EQ(accepted(kValid + "model: {heads: 5, head_dim: 16}\n").model.heads, 5);
}

TEST(Rules, KeyValueHeadsMustDivideTheHeads) {
  EXPECT_THAT(refusal(kValid + "model: {kv_heads: 3}\n"),
              HasSubstr("model.kv_heads: 3 key/value heads do not divide 4 query heads"));
  EXPECT_EQ(accepted(kValid + "model: {kv_heads: 2}\n").model.kv_heads, 2);
}

TEST(Rules, HeadSizeMustBeEven) {
  EXPECT_THAT(refusal(kValid + "model: {hidden_size: 12, heads: 4}\n"),
              HasSubstr("head size of 3 (hidden size 12 / 4 heads)"));
  EXPECT_THAT(refusal(kValid + "model: {head_dim: 7}\n"), HasSubstr("model.head_dim: gives a head size of 7"));
}

TEST(Rules, StagesAreNamedOnceAndAtLeastOne) {
  EXPECT_THAT(refusal("stages: [sft, sft]\nsft: {steps: 1}\n"), HasSubstr("my.yaml:1:1: stages: contains sft twice"));
  EXPECT_THAT(refusal("stages: []\n"), HasSubstr("stages: is empty"));
  EXPECT_THAT(accepted("stages: [eval]\n").stages, ElementsAre("eval"));
}

TEST(Rules, AStageThatTrainsNeedsSteps) {
  EXPECT_THAT(refusal("stages: [sft]\n"),
              AllOf(StartsWith("my.yaml:1:1: sft.steps: is 0"), HasSubstr("remove sft from stages")));
  EXPECT_THAT(refusal("stages: [rl]\nrl:\n  steps: 0\n"), HasSubstr("(rl.steps: my.yaml:3, stages: my.yaml:1)"));
  EXPECT_THAT(refusal("stages: [pretrain]\n"),
              AllOf(HasSubstr("pretrain.steps: is 0"), HasSubstr("data.train: is empty")));
}

TEST(Rules, PretrainingNeedsData) {
  EXPECT_THAT(refusal("stages: [pretrain]\npretrain: {steps: 5}\n"),
              HasSubstr("data.train: is empty, but stages contains pretrain"));
}

TEST(Rules, ThoseThatTasksDeclareAreCheckedLikeOurOwn) {
  EXPECT_THAT(refusal(kValid + "task: {fewest: 5, most: 3}\n"),
              HasSubstr("my.yaml:4:8: task.fewest: is 5, above task.most 3"));
  EXPECT_EQ(accepted(kValid + "task: {fewest: 3, most: 3}\n").task.options.get<int64_t>("fewest"), 3);
}

TEST(Rules, FormsNeedOneShareAboveZero) {
  EXPECT_THAT(refusal(kValid + "task: {forms: {states: 0}}\n"), HasSubstr("gives no form a share above 0"));
}

TEST(Rules, RunNameIsASafeFolderName) {
  for (const char* name : {"../x", "a/b", "\"\"", ".hidden", "-x", "\"a b\"", "\"a\\0b\""}) {
    EXPECT_THAT(refusal(kValid + "run: {name: " + name + "}\n"), HasSubstr("run.name: ")) << name;
  }
  EXPECT_THAT(refusal(kValid + "run: {name: " + std::string(101, 'a') + "}\n"), HasSubstr("at most 100"));
  EXPECT_EQ(accepted(kValid + "run: {name: 7b-v1.2_x}\n").run.name, "7b-v1.2_x");
}

TEST(Rules, TrainingSizesFit) {
  EXPECT_THAT(refusal("stages: [sft]\nsft: {steps: 1, batch_size: 8, micro_batch: 9}\n"),
              HasSubstr("sft.micro_batch: is 9, more than"));
  EXPECT_THAT(refusal(kValid + "pretrain: {seq_len: 1000}\n"),
              HasSubstr("pretrain.seq_len: is 1000, more than model.max_seq_len 256"));
  EXPECT_THAT(refusal("stages: [sft]\nsft: {steps: 10, optimizer: {warmup_steps: 11}}\n"),
              HasSubstr("more than the 10 steps of sft"));
  EXPECT_THAT(refusal(kValid + "rl: {penalty: {kind: truncation}}\n"), HasSubstr("rl.penalty.limit: is 0"));
  EXPECT_THAT(refusal(kValid + "rl: {loss: reinforce, updates_per_batch: 2}\n"),
              HasSubstr("rl.updates_per_batch: is 2"));
}

TEST(Rules, AdaptersNeedAModelARankAndDifferentTargets) {
  support::TemporaryFolder folder;
  const std::string init = "model: {init: " + write(folder.path() / "model.gguf", "x").string() + "}\n";
  EXPECT_EQ(accepted(kValid + init + "lora: {rank: 4, targets: [q_proj]}\n").lora.rank, 4);
  EXPECT_THAT(refusal(kValid + "lora: {rank: 4}\n"), HasSubstr("lora.rank: is 4, but model.init is empty"));
  EXPECT_THAT(refusal(kValid + init + "lora: {init: " + folder.path().string() + "}\n"),
              HasSubstr("but lora.rank is 0, so there are no adapters"));
  EXPECT_THAT(refusal(kValid + init + "lora: {rank: 4, targets: []}\n"), HasSubstr("lora.targets: is empty"));
  EXPECT_THAT(refusal(kValid + init + "lora: {rank: 4, targets: [q_proj, o_proj, q_proj]}\n"),
              HasSubstr("lora.targets: contains q_proj twice"));
}

TEST(Rules, WarmUpEndsWithinTheStepsOfTheStage) {
  const std::string rl = "stages: [rl]\nrl: {steps: 10, updates_per_batch: 4, optimizer: {warmup_steps: ";
  EXPECT_EQ(accepted(rl + "10}}\n").rl.optimizer.warmup_steps, 10);
  EXPECT_THAT(refusal(rl + "11}}\n"), HasSubstr("is 11, more than the 10 steps of rl"));
}

TEST(Rules, EveryUpdateOfABatchGetsAGroup) {
  EXPECT_EQ(accepted("stages: [rl]\nrl: {steps: 1, prompts: 3, updates_per_batch: 3}\n").rl.prompts, 3);
  EXPECT_THAT(refusal("stages: [rl]\nrl: {steps: 1, prompts: 3, updates_per_batch: 4}\n"),
              HasSubstr("rl.updates_per_batch: is 4, more than rl.prompts 3"));
}

TEST(Rules, PretrainingHasSomethingToValidateOn) {
  support::TemporaryFolder folder;
  const std::string text = write(folder.path() / "x.txt", "x").string();
  const std::string pretrain = "stages: [pretrain]\npretrain: {steps: 5}\ndata: {train: " + text;
  EXPECT_THAT(refusal(pretrain + ", val_fraction: 0}\n"), HasSubstr("data.val_fraction: is 0 and data.val is empty"));
  EXPECT_EQ(accepted(pretrain + ", val_fraction: 0, val: " + text + "}\n").data.val_fraction, 0);
}

TEST(Rules, JsonLinesHaveNoSeparator) {
  support::TemporaryFolder folder;
  const std::string text = write(folder.path() / "x.txt", "x").string();
  const std::string lines = write(folder.path() / "x.jsonl", "{}").string();
  const std::string pretrain = "stages: [pretrain]\npretrain: {steps: 5}\ndata: {separator: '|', train: ";
  EXPECT_THAT(refusal(pretrain + lines + "}\n"), HasSubstr("data.separator: is set, but data.train is JSON Lines"));
  EXPECT_THAT(refusal(pretrain + lines + ", val: " + lines + "}\n"), HasSubstr("data.separator"));
  EXPECT_EQ(accepted(pretrain + lines + ", val: " + text + "}\n").data.separator, "|") << "that of the other file";
  EXPECT_EQ(accepted(pretrain + text + "}\n").data.separator, "|");
}

TEST(Rules, ConversationsForValidationBelongToOthers) {
  support::TemporaryFolder folder;
  const std::string lines = write(folder.path() / "x.jsonl", "{}").string();
  const std::string sft = "stages: [sft]\nsft: {steps: 5, val: " + lines;
  EXPECT_THAT(refusal(sft + "}\n"), HasSubstr("sft.val: is set, but sft.train is empty"));
  EXPECT_EQ(accepted(sft + ", train: " + lines + "}\n").sft.val, lines);
}

TEST(Rules, NameTheNearestOfTheFilesThatClash) {
  support::TemporaryFolder folder;
  write(folder.path() / "base.yaml", kValid + "model:\n  hidden_size: 96\n");
  const std::string text = refusal_of_file(write(folder.path() / "my.yaml", "base: base.yaml\nmodel:\n  heads: 5\n"));
  EXPECT_THAT(text, StartsWith((folder.path() / "my.yaml:3:3: model.heads").string()));
  EXPECT_THAT(text, HasSubstr("model.hidden_size: " + (folder.path() / "base.yaml:5").string()));
}

TEST(Rules, CheckReportsRangesAndChoicesOfConfigsMadeInCode) {
  RunConfig config = valid();
  config.model.layers = -1;
  config.rl.penalty.kind = "magic";
  config.stages = {"sft", "dance"};
  config.task.forms["states"] = -2;
  config.task.options.set("fewest", 9);
  EXPECT_THAT(check(config),
              ElementsAre(HasSubstr("stages: 'dance' is unknown"), HasSubstr("model.layers: -1 is out of range"),
                          HasSubstr("task.forms: states: -2 is out of range"), HasSubstr("rl.penalty.kind: 'magic'"),
                          HasSubstr("task.fewest: is 9, above")));
  config = valid();
  config.model.hidden_size = 0;
  config.model.heads = 0;
  EXPECT_THAT(check(config), ElementsAre(HasSubstr("model.hidden_size"), HasSubstr("model.heads")));
}

}  // namespace
}  // namespace terse::configs
