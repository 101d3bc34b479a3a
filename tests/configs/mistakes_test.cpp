// Tests that every class of mistake in a file is refused with its place, its name and a remedy.
#include <gmock/gmock.h>

#include "configs/yaml/suggest.h"
#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Mistakes, UnknownKeyNamesPlaceAndNearestKey) {
  EXPECT_EQ(refusal(kValid + "model:\n  hedas: 4\n"),
            "my.yaml:5:3: unknown key 'hedas' in model; did you mean model.heads?");
  EXPECT_THAT(refusal(kValid + "modle:\n  heads: 4\n"),
              AllOf(StartsWith("my.yaml:4:1:"), HasSubstr("did you mean model?")));
  EXPECT_THAT(refusal(kValid + "model: {Heads: 4}\n"), HasSubstr("did you mean model.heads?"));
  EXPECT_THAT(refusal(kValid + "run: {log-every: 4}\n"), HasSubstr("did you mean run.log_every?"));
}

TEST(Mistakes, UnknownKeyFarFromAllListsTheKnownOnes) {
  EXPECT_THAT(refusal(kValid + "tokenizer: {giraffe: 4}\n"),
              HasSubstr("unknown key 'giraffe' in tokenizer; known keys: kind, path"));
}

TEST(Mistakes, KeyInTheWrongSectionIsSentToTheRightOnes) {
  EXPECT_EQ(refusal(kValid + "lr: 0.1\n"),
            "my.yaml:4:1: unknown key 'lr' at the top level; did you mean pretrain.optimizer.lr, sft.optimizer.lr, "
            "rl.student.lr or "
            "rl.optimizer.lr?");
  EXPECT_THAT(refusal("stages: [sft]\nsft:\n  steps: 1\n  lr: 0.1\n"), HasSubstr("did you mean sft.optimizer.lr?"));
  EXPECT_THAT(refusal(kValid + "penalty: {kind: none}\n"), HasSubstr("did you mean rl.penalty?"));
  EXPECT_THAT(refusal(kValid + "model: {seed: 3}\n"), HasSubstr("did you mean run.seed?"));
}

TEST(Mistakes, NamesOfOtherTrainersAreTranslated) {
  EXPECT_THAT(refusal("stages: [sft]\nsft: {steps: 1, learning_rate: 0.1}\n"),
              HasSubstr("did you mean sft.optimizer.lr?"));
  EXPECT_THAT(refusal(kValid + "model: {d_model: 64}\n"), HasSubstr("did you mean model.hidden_size?"));
  EXPECT_THAT(refusal(kValid + "run: {device: gpu}\n"), HasSubstr("did you mean cuda?"));
}

TEST(Mistakes, DottedAndMergeAndMisplacedBaseKeysAreExplained) {
  EXPECT_THAT(refusal("stages: [sft]\nsft.steps: 3\n"),
              AllOf(HasSubstr("my.yaml:2:1: unknown key 'sft.steps'"), HasSubstr("sft: {steps: ...}")));
  EXPECT_THAT(refusal("stages: [rl]\nrl.optimizer.lr: 3\n"), HasSubstr("rl: {optimizer: {lr: ...}}"));
  EXPECT_THAT(refusal(kValid + "model:\n  <<: {heads: 4}\n"), HasSubstr("write base: other.yaml"));
  EXPECT_THAT(refusal(kValid + "model:\n  base: x.yaml\n"),
              HasSubstr("base: other.yaml is allowed only at the top level"));
}

TEST(Mistakes, DuplicateKeysNameBothLines) {
  EXPECT_EQ(refusal(kValid + "model:\n  heads: 4\n  heads: 2\n"),
            "my.yaml:6:3: duplicate key 'heads': line 5 has the same key; keep one of them");
  EXPECT_THAT(refusal(kValid + "sft:\n  steps: 3\n"),
              HasSubstr("my.yaml:4:1: duplicate key 'sft': line 2 has the same key"));
  EXPECT_THAT(refusal(kValid + "run: {name: a, name: b}\n"), HasSubstr("duplicate key 'name'"));
  EXPECT_THAT(refusal(kValid + "task: {forms: {states: 1, states: 2}}\n"), HasSubstr("duplicate key 'states'"));
}

TEST(Mistakes, WrongTypeSaysWhatWasExpected) {
  const auto model = [](const std::string& line) { return refusal(kValid + "model:\n  " + line + "\n"); };
  EXPECT_EQ(model("heads: four"), "my.yaml:5:10: model.heads: expected a whole number, found 'four'");
  EXPECT_THAT(model("heads: [4]"), HasSubstr("expected a whole number, from 1 to 4096, found a list"));
  EXPECT_THAT(model("heads: {a: 1}"), HasSubstr("found a section"));
  EXPECT_THAT(model("heads:"),
              AllOf(HasSubstr("my.yaml:5:3: model.heads: has no value"), HasSubstr("keep the default")));
  EXPECT_THAT(model("heads: \"4\""), HasSubstr("found the string '4' in quotes; remove the quotes"));
  EXPECT_THAT(model("norm_eps: small"), HasSubstr("expected a number, found 'small'"));
  EXPECT_THAT(refusal(kValid + "model: 4\n"),
              HasSubstr("model is a section: expected keys below it, indented (depth, layers"));
  EXPECT_THAT(refusal(kValid + "model: [heads]\n"), HasSubstr("model is a section"));
  EXPECT_THAT(refusal("stages: sft\n"),
              AllOf(HasSubstr("expected a list of any of pretrain, sft"), HasSubstr("write [sft]")));
  EXPECT_THAT(refusal("stages: [[sft]]\n"), HasSubstr("expected a string as element 1, found a list"));
  EXPECT_THAT(refusal(kValid + "task: {forms: [states]}\n"), HasSubstr("expected a map"));
  EXPECT_THAT(refusal(kValid + "task: {forms: {states: much}}\n"), HasSubstr("task.forms.states: expected a number"));
  EXPECT_THAT(refusal(kValid + "run: {name: null}\n"), HasSubstr("write \"\" for an empty string"));
}

TEST(Mistakes, WholeNumbersAreReadStrictly) {
  const auto seed = [](const std::string& text) { return refusal(kValid + "run: {seed: " + text + "}\n"); };
  EXPECT_THAT(seed("12.0"), HasSubstr("write 12, without a decimal point or exponent"));
  EXPECT_THAT(seed("1e3"), HasSubstr("write 1000, without a decimal point or exponent"));
  EXPECT_THAT(seed("1.5"), AllOf(HasSubstr("expected a whole number, found '1.5'"), Not(HasSubstr("write"))));
  EXPECT_THAT(seed("1_000"), HasSubstr("write 1000, without separators"));
  EXPECT_THAT(seed("0x10"), HasSubstr("write it in decimal: 16"));
  EXPECT_THAT(seed("0o17"), HasSubstr("write it in decimal: 15"));
  EXPECT_THAT(seed("007"), HasSubstr("write 7, without leading zeros"));
  EXPECT_THAT(seed("+5"), HasSubstr("write 5"));
  EXPECT_THAT(seed("9223372036854775808"), HasSubstr("overflows"));
  EXPECT_THAT(seed("1e400"), HasSubstr("expected a whole number"));
  EXPECT_THAT(seed(".inf"), HasSubstr("must be finite"));
  EXPECT_EQ(accepted(kValid + "run: {seed: 9223372036854775807}\n").run.seed, INT64_MAX);
  EXPECT_EQ(accepted(kValid + "run: {seed: 0}\n").run.seed, 0);
}

TEST(Mistakes, NumbersAreReadStrictly) {
  const auto eps = [](const std::string& text) { return refusal(kValid + "model: {norm_eps: " + text + "}\n"); };
  for (const char* text : {"nan", ".nan", "NaN", "inf", "-.inf", "Infinity"})
    EXPECT_THAT(eps(text), HasSubstr("must be finite"));
  EXPECT_THAT(eps("1e999"), HasSubstr("overflows"));
  EXPECT_THAT(eps("1e-999"), HasSubstr("underflows to 0"));
  for (const char* text : {"1e", "e5", ".", "-", "1.2.3", "1e5.0", "--1", "1 2", "0x1p3"}) {
    EXPECT_THAT(eps('"' + std::string(text) + '"'), HasSubstr("remove the quotes"));
    EXPECT_THAT(eps(text), HasSubstr("expected a number")) << text;
  }
  const auto lr = [](const std::string& text) {
    return accepted(kValid + "rl: {optimizer: {lr: " + text + "}}\n").rl.optimizer.lr;
  };
  EXPECT_EQ(lr("1e-3"), 1e-3);
  EXPECT_EQ(lr("1E-3"), 1e-3);
  EXPECT_EQ(lr(".5"), 0.5);
  EXPECT_EQ(lr("2."), 2.0);
  EXPECT_EQ(lr("3"), 3.0);
  EXPECT_EQ(lr("0"), 0.0);
  EXPECT_EQ(lr("0e999"), 0.0);
  EXPECT_EQ(lr("1.1754943508222875e-38"), 0x1p-126) << "the smallest normal number of fp32";
}

TEST(Mistakes, SwitchesAreTrueOrFalseOnly) {
  const auto flag = [](const std::string& text) { return refusal(kValid + "model: {qk_norm: " + text + "}\n"); };
  for (const char* yes : {"yes", "on", "True", "TRUE", "1", "Y"}) EXPECT_THAT(flag(yes), HasSubstr("; write true"));
  for (const char* no : {"no", "off", "False", "0", "n"}) EXPECT_THAT(flag(no), HasSubstr("; write false"));
  EXPECT_THAT(flag("maybe"), HasSubstr("expected true or false, found 'maybe'"));
  EXPECT_TRUE(accepted(kValid + "model: {qk_norm: true}\n").model.qk_norm);
}

TEST(Mistakes, SizesAndRangesAreChecked) {
  EXPECT_EQ(refusal(kValid + "model: {hidden_size: -64}\n"),
            "my.yaml:4:22: model.hidden_size: -64 is out of range: expected from 1 to 131072");
  EXPECT_THAT(refusal(kValid + "model: {layers: 0}\n"), HasSubstr("0 is out of range"));
  EXPECT_THAT(refusal(kValid + "run: {seed: -1}\n"), HasSubstr("expected at least 0"));
  EXPECT_THAT(refusal(kValid + "engine: {top_p: 0}\n"), HasSubstr("expected above 0 to 1"));
  EXPECT_THAT(refusal(kValid + "engine: {top_p: 1.5}\n"), HasSubstr("1.5 is out of range"));
  EXPECT_THAT(refusal(kValid + "rl: {optimizer: {beta2: 1}}\n"), HasSubstr("expected from 0 to below 1"));
  EXPECT_THAT(refusal(kValid + "checkpoint: {keep: 1}\n"), HasSubstr("from 2"));
  EXPECT_THAT(refusal(kValid + "rl: {group_size: 1}\n"), HasSubstr("from 2"));
  EXPECT_THAT(refusal(kValid + "task: {forms: {states: -1}}\n"), HasSubstr("task.forms.states: -1 is out of range"));
}

TEST(Mistakes, UnknownChoiceNamesTheNearest) {
  EXPECT_EQ(refusal(kValid + "sft2: 1\n").substr(0, 12), "my.yaml:4:1:");
  EXPECT_THAT(refusal(kValid + "rl: {penalty: {kind: adaptve}}\n"),
              HasSubstr("rl.penalty.kind: unknown 'adaptve'; did you mean adaptive? expected one of none, truncation, "
                        "group_relative, adaptive"));
  EXPECT_THAT(refusal("stages: [sft, rll]\nsft: {steps: 1}\n"),
              HasSubstr("my.yaml:1:15: stages: unknown 'rll'; did you mean rl?"));
  EXPECT_THAT(refusal(kValid + "task: {forms: {stats: 1}}\n"),
              HasSubstr("task.forms: unknown 'stats'; did you mean states?"));
  EXPECT_THAT(refusal(kValid + "model: {precision: fp8}\n"), HasSubstr("expected one of fp32, bf16"));
}

TEST(Mistakes, UnknownTaskNamesTheKnownOnes) {
  EXPECT_THAT(refusal(kValid + "task: {name: toi}\n"),
              HasSubstr("task.name: unknown 'toi'; did you mean toy? expected one of toy, other"));
  EXPECT_THAT(refusal(kValid + "task: {name: sudoku}\n"),
              HasSubstr("task.name: unknown 'sudoku'; expected one of toy, other"));
}

TEST(Mistakes, AllAreShownAtOnceInTheOrderOfTheFile) {
  const std::string text =
      refusal("stages: [sft]\nrun: {seed: x}\nsft: {steps: 10, lr: 1}\nmodel: {heads: 5, layers: 0}\n", {"foo"});
  EXPECT_THAT(text, StartsWith("5 mistakes in the configuration:\n  my.yaml:2:"));
  const size_t third = text.find("my.yaml:3:"), fourth = text.find("my.yaml:4:"),
               override_at = text.find("--set 'foo'");
  EXPECT_LT(third, fourth);
  EXPECT_LT(fourth, override_at);
  EXPECT_THAT(text,
              AllOf(HasSubstr("model.layers: 0 is out of range"), HasSubstr("5 heads do not divide hidden size 64")));
  EXPECT_NE(override_at, std::string::npos);
}

TEST(Mistakes, AreNotFollowedByComplaintsAboutTheirConsequences) {
  // The misspelt steps leave sft.steps at 0, which is not a second mistake.
  EXPECT_THAT(refusal("stages: [sft]\nsft: {setps: 10}\n"),
              AllOf(HasSubstr("did you mean sft.steps?"), Not(HasSubstr("mistakes"))));
  EXPECT_THAT(refusal("stages: [sft]\nsftt: {steps: 10}\n"), Not(HasSubstr("mistakes")));
  EXPECT_THAT(refusal("stages: [sft]\nsft: {steps: ten}\n"), Not(HasSubstr("mistakes")));
}

TEST(Mistakes, VeryManyAreCutShort) {
  std::string yaml = kValid;
  for (int i = 0; i < 3000; ++i) yaml += "zz" + std::to_string(i) + ": 1\n";
  const std::string text = refusal(yaml);
  EXPECT_THAT(text, AllOf(StartsWith("3000 mistakes"), HasSubstr("... and 2900 more")));
  EXPECT_LT(text.size(), 50000u);
}

TEST(Mistakes, LongAndStrangeValuesDoNotFloodTheMessage) {
  const std::string text = refusal(kValid + "run: {device: \"" + std::string(5000, 'x') + "\"}\n");
  EXPECT_LT(text.size(), 400u);
  EXPECT_THAT(refusal(kValid + "run: {device: \"a\\e[31m\\nb\"}\n"),
              AllOf(HasSubstr("\\u001b"), Not(HasSubstr("\x1b")), Not(HasSubstr("\n"))));
}

TEST(Nearest, OfSeveralWordsTheOneWithTheFewestChanges) {
  EXPECT_EQ(nearest("batchsize", {"batch_sized", "batch_size", "batch_sizes"}), "batch_size");
  EXPECT_EQ(nearest("batchsize", {"max_seq_len", "hidden_size"}), "");
}

}  // namespace
}  // namespace terse::configs
