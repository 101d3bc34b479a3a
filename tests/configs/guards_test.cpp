// Tests that input that is hostile, broken or no configuration is refused quickly, in little memory and with a reason.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <chrono>

#include "configs/yaml/yaml_tree.h"
#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string alias_bomb(int levels) {
  std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < levels; ++i) {
    const std::string last = std::to_string(i - 1);
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 9; ++k) yaml += (k ? ", *a" : "*a") + last;
    yaml += "]\n";
  }
  return yaml;
}

TEST(Guards, AliasBombIsRefusedFastAndInLittleMemory) {
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  const auto start = std::chrono::steady_clock::now();
  const std::string text = refusal(alias_bomb(20));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 32 * 1024);  // KiB
  EXPECT_THAT(text, AllOf(StartsWith("my.yaml:5:"), HasSubstr("more than 10000 values after the expansion of aliases"),
                          HasSubstr("alias bomb")));
}

TEST(Guards, ModestAliasesWork) {
  const RunConfig config = accepted("stages: [sft]\nsft: {steps: 1, optimizer: &o {lr: 0.5}}\nrl: {optimizer: *o}\n");
  EXPECT_EQ(config.rl.optimizer.lr, 0.5);
}

TEST(Guards, AliasInsideItselfIsRefused) {
  EXPECT_THAT(refusal("stages: &s [sft, *s]\n"),
              HasSubstr("this alias refers to a value that contains the alias itself"));
  EXPECT_THAT(refusal("stages: [*nowhere]\n"), HasSubstr("not valid YAML"));
}

TEST(Guards, DeepNestingIsRefused) {
  EXPECT_THAT(refusal(std::string(600, '[') + std::string(600, ']')), HasSubstr("nested more than 32 levels deep"));
  EXPECT_THAT(refusal(std::string(400'000, '[')), HasSubstr("nested more than 32 levels deep"));
  std::string maps;
  for (int i = 0; i < 500; ++i) maps += "{a: ";
  EXPECT_THAT(refusal(maps), HasSubstr("nested more than 32 levels deep"));
  // Here only the aliases add depth.
  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 60; ++i) chain += fmt::format("a{0}: &a{0} [*a{1}]\n", i, i - 1);
  EXPECT_THAT(refusal(chain), HasSubstr("nested more than 32 levels deep"));
}

TEST(Guards, TooManyValuesAreRefused) {
  std::string yaml = "stages: [";
  for (int i = 0; i < 20'000; ++i) yaml += "sft,";
  EXPECT_THAT(refusal(yaml + "sft]\n"), HasSubstr("more than 10000 values"));
}

TEST(Guards, LargeTextIsRefused) {
  EXPECT_THAT(refusal(std::string(kMaxYamlBytes + 1, '#')), HasSubstr("larger than 1048576 bytes"));
  EXPECT_EQ(accepted(kValid + std::string(kMaxYamlBytes - kValid.size(), '#')), accepted(kValid));
  support::TemporaryFolder folder;
  EXPECT_THAT(refusal_of_file(write(folder.path() / "big.yaml", std::string(3 << 20, '#'))),
              HasSubstr("larger than 1048576 bytes"));
  EXPECT_THAT(refusal_of_file("/dev/zero"), HasSubstr("larger than 1048576 bytes"));
}

TEST(Guards, TagsAreRefused) {
  EXPECT_THAT(refusal(kValid + "run: {name: !!python/object/apply:os.system [ls]}\n"),
              HasSubstr("the tag '!!python/object/apply:os.system' is not allowed"));
  EXPECT_THAT(refusal(kValid + "run: {seed: !!int 3}\n"), HasSubstr("my.yaml:4:13: the tag '!!int' is not allowed"));
  EXPECT_THAT(refusal(kValid + "model: !thing {heads: 4}\n"), HasSubstr("the tag '!thing' is not allowed"));
}

TEST(Guards, BytesThatAreNoTextAreRefused) {
  EXPECT_THAT(refusal("stages: [sft]\nrun: {name: \xff}\n"), HasSubstr("my.yaml:2:13: invalid UTF-8 (byte 0xff)"));
  EXPECT_THAT(refusal("run: {name: \xc3"), HasSubstr("invalid UTF-8"));
  EXPECT_THAT(refusal("\xff\xfes\0t\0"), HasSubstr("UTF-16"));
  EXPECT_THAT(refusal(std::string("stages: [sft]\n\0x", 16)),
              HasSubstr("my.yaml:2:1: control character 0x00: this is not a text file"));
  EXPECT_THAT(refusal("stages: [\x1b[0m]\n"), HasSubstr("control character 0x1b"));
  EXPECT_EQ(accepted("\xef\xbb\xbf" + kValid).sft.steps, 10);  // a byte order mark is accepted
  EXPECT_EQ(accepted("stages: [sft]\r\nsft:\r\n  steps: 10\r\n").sft.steps, 10);
  EXPECT_EQ(accepted(kValid + "data: {separator: \"\u00e9\u6f22\U0001F600\"}\n").data.separator,
            "\u00e9\u6f22\U0001F600");
}

TEST(Guards, TextThatIsNoConfigurationIsRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("my.yaml: the file is empty; expected sections"));
  EXPECT_THAT(refusal("# only a comment\n"), HasSubstr("is empty"));
  EXPECT_THAT(refusal("---\n"), HasSubstr("is empty"));
  EXPECT_THAT(refusal("hello world\n"), HasSubstr("expected sections with keys (key: value), found 'hello world'"));
  EXPECT_THAT(refusal("- sft\n- rl\n"), HasSubstr("found a list"));
  EXPECT_THAT(refusal("#!/bin/sh\nset -e; exec \"$0\" }{\n"), HasSubstr("my.yaml"));
  EXPECT_THAT(refusal(kValid + "---\n" + kValid), HasSubstr("my.yaml:4:1: a second document starts here"));
  EXPECT_THAT(refusal(kValid + "[a]: 3\n"), HasSubstr("a key must be a plain word, found a list"));
  EXPECT_THAT(refusal(kValid + "~: 3\n"), HasSubstr("a key must be a plain word, found nothing"));
}

TEST(Guards, BrokenYamlNamesPlaceAndTheLikelyReason) {
  EXPECT_THAT(refusal("stages: [sft\nsft:\n  steps: 1\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(refusal("stages: [sft]\nmodel:\n\theads: 4\n"),
              AllOf(HasSubstr("my.yaml:3:"), HasSubstr("indented with a tab: use spaces")));
  EXPECT_THAT(refusal("stages: [sft]\nsft:\n  steps: 1\n batch_size: 3\n"), HasSubstr("my.yaml:4:"));
  EXPECT_THAT(refusal("run: {name: \"x}\n"), HasSubstr("unclosed quote"));
}

TEST(Guards, EmptySectionsSetNothing) {
  const RunConfig config = accepted(kValid + "model:\n  # heads: 4\nrl:\n");
  EXPECT_EQ(config, accepted(kValid));
}

}  // namespace
}  // namespace terse::configs
