// Mistakes on the command line give exit code 64, one clear paragraph, and the nearest name that exists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

void expect_usage(const std::vector<std::string>& arguments, const ::testing::Matcher<std::string>& message,
                  const Surroundings& surroundings = {}) {
  const Result result = terse(arguments, surroundings);
  EXPECT_EQ(result.code, 64) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, ::testing::StartsWith("terse: "));
  EXPECT_THAT(result.err, message);
}

TEST(Usage, UnknownCommandSuggestsTheNearest) {
  expect_usage({"rum"},
               AllOf(HasSubstr("unknown command 'rum'"), HasSubstr("`terse run`"), HasSubstr("`terse --help`")));
  expect_usage({"docter"}, HasSubstr("`terse doctor`"));
  expect_usage({"config", "pritn", "x.yaml"},
               AllOf(HasSubstr("`terse config print`"), HasSubstr("`terse config --help`")));
  expect_usage({"xyzzyplugh"},
               AllOf(HasSubstr("unknown command"), Not(HasSubstr("did you mean")), HasSubstr("generate")));
}

TEST(Usage, NamesFromOtherToolsLeadToOurs) {
  expect_usage({"train", "x.yaml"}, HasSubstr("`terse run`"));
  expect_usage({"resume"}, HasSubstr("`terse run`"));
  expect_usage({"rl", "x.yaml"}, HasSubstr("`terse run`"));
  expect_usage({"sample"}, HasSubstr("`terse generate`"));
}

TEST(Usage, ConfigurationWithoutACommandSuggestsRun) {
  const TemporaryFolder folder;
  folder.write("mine.yaml", "");
  expect_usage({"mine.yaml"}, HasSubstr("`terse run mine.yaml`"), {.folder = folder.path()});
}

TEST(Usage, UnknownOptionSuggestsTheNearestEvenWhenMoreIsWrong) {
  expect_usage({"run", "--sed", "3", "x.yaml"}, AllOf(HasSubstr("unknown option --sed"), HasSubstr("--seed")));
  expect_usage({"run", "--sed=3"}, HasSubstr("did you mean --seed?"));
  expect_usage({"eval", "--sampels", "4"}, HasSubstr("did you mean --samples?"));
  expect_usage({"generate", "runs/x", "--max-tokens", "4"}, HasSubstr("--max-new-tokens"));
  expect_usage({"run", "x.yaml", "--frobnicate"}, AllOf(HasSubstr("--frobnicate"), Not(HasSubstr("did you mean"))));
}

TEST(Usage, WhatBeginsWithADashStandsBehindTwo) {
  const Result text = terse({"tokenizer", "encode", "byte", "--", "-x"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.out, "45 120\n");
  expect_usage({"generate", "runs/x", "-x"}, AllOf(HasSubstr("unknown option -x"), HasSubstr("after `--`")));
  expect_usage({"generate", "runs/x", "--", "-x", "--samples", "4"},
               AllOf(HasSubstr("unexpected arguments --samples 4"), HasSubstr("Put options before it")));
}

// A number is never read as another one than the one that was typed.
TEST(Usage, NumbersAreReadAsStrictlyAsThoseOfAConfiguration) {
  expect_usage({"run", "x.yaml", "--seed", "9223372036854775808"},
               AllOf(HasSubstr("--seed: '9223372036854775808' overflows"), HasSubstr("2^63 - 1")));
  expect_usage({"config", "print", "x.yaml", "--seed", "28446744073709551617"}, HasSubstr("overflows"));
  expect_usage({"run", "x.yaml", "--seed", "0x10"}, HasSubstr("write it in decimal: 16"));
  expect_usage({"run", "x.yaml", "--seed", "1e3"}, HasSubstr("write 1000"));
  expect_usage({"run", "x.yaml", "--seed", "-1"}, HasSubstr("-1 is out of range: expected at least 0"));
  expect_usage({"generate", "runs/x", "--samples", "0"}, HasSubstr("--samples: 0 is out of range"));
  expect_usage({"generate", "runs/x", "--samples", "99999999999999999999"}, HasSubstr("overflows"));
  expect_usage({"plan", "x.yaml", "--ranks", "0x8"}, HasSubstr("write it in decimal: 8"));
  for (const char* option : {"--temperature", "--top-p", "--min-p"})
    for (const char* value : {"nan", "inf", "-0.1", "101", "0x1p0", "half", "1e-40"})
      expect_usage({"generate", "runs/x", option, value}, HasSubstr(std::string(option) + ": "));
}

TEST(Usage, MissingAndSuperfluousArgumentsAreNamed) {
  expect_usage({"run"}, AllOf(HasSubstr("CONFIG"), HasSubstr("`terse run --help`")));
  expect_usage({"eval"}, HasSubstr("RUN|CHECKPOINT"));
  expect_usage({"data", "build", "a.txt"}, HasSubstr("--output"));
  expect_usage({"run", "a.yaml", "b.yaml"}, HasSubstr("unexpected argument b.yaml"));
}

TEST(Usage, BadValuesOfOptionsAreNamed) {
  expect_usage({"run", "x.yaml", "--seed", "abc"}, AllOf(HasSubstr("--seed"), HasSubstr("abc")));
  expect_usage({"run", "x.yaml", "--device", "gpu"}, AllOf(HasSubstr("--device"), HasSubstr("gpu"), HasSubstr("cuda")));
  expect_usage({"eval", "x", "--samples", "0"}, HasSubstr("--samples"));
  expect_usage({"eval", "x", "--samples", "-3"}, HasSubstr("--samples"));
  expect_usage({"generate", "x", "--temperature", "-1"}, HasSubstr("--temperature"));
  expect_usage({"run", "x.yaml", "--set"}, HasSubstr("--set"));
  expect_usage({"tokenizer", "decode", "byte", "12", "x3"}, HasSubstr("'x3' is not a token id"));
  expect_usage({"tokenizer", "decode", "byte", "99999"}, HasSubstr("99999"));
  expect_usage({"tokenizer", "encode", "nonsense", "a"}, HasSubstr("no tokenizer 'nonsense'"));
}

TEST(Usage, MissingTargetsSuggestTheRunsFolder) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "runs/quick");
  for (const char* command : {"eval", "generate", "verify", "report"})
    expect_usage({command, "quick"}, HasSubstr("did you mean runs/quick?"), {.folder = folder.path()});
  expect_usage({"verify", "nowhere"}, HasSubstr("no run or checkpoint folder nowhere"), {.folder = folder.path()});
  expect_usage({"verify", "runs/quick"}, HasSubstr("config.yaml"), {.folder = folder.path()});
}

TEST(GlobalOptions, MayStandBeforeTheCommandAndAfterItsArguments) {
  const TemporaryFolder folder;
  folder.write("a.yaml", tiny_config());
  const Surroundings here = {.folder = folder.path()};
  const std::string expected =
      terse({"config", "print", "a.yaml", "--plain", "--set", "sft.steps=7", "--seed", "9"}, here).out;
  EXPECT_THAT(expected, HasSubstr("seed: 9"));
  EXPECT_EQ(terse({"--seed", "9", "--set", "sft.steps=7", "config", "print", "a.yaml", "--plain"}, here).out, expected);
  EXPECT_EQ(terse({"config", "print", "--set", "sft.steps=7", "--seed", "9", "a.yaml", "--plain"}, here).out, expected);
  EXPECT_EQ(terse({"--set", "sft.steps=5", "config", "--set", "sft.steps=6", "print", "a.yaml", "--plain", "--seed=9",
                   "--set", "sft.steps=7"},
                  here)
                .out,
            expected);
}

TEST(GlobalOptions, OneThatMeansNothingToTheCommandIsSaidToHaveNoEffect) {
  const Result result = terse({"doctor", "--json", "--seed", "3"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.err, HasSubstr("note: --seed has no effect on `terse doctor`"));
}

TEST(Output, ReaderThatGoesAwayIsNotABug) {
  // Results go to a full disk here: the message must name the disk.
  const std::string command = std::string(TERSE_PROGRAM) + " config schema 2>&1 >/dev/full | cat";
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  char text[512] = {};
  const size_t size = fread(text, 1, sizeof(text) - 1, pipe);
  pclose(pipe);
  EXPECT_THAT(std::string(text, size), HasSubstr("disk is full"));
}

}  // namespace
}  // namespace terse::launch::testing
