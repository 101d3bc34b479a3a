// Every level of the command line explains itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using Words = std::vector<std::string>;

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

const std::vector<Words> kLeaves = {{"run"},
                                    {"eval"},
                                    {"generate"},
                                    {"report"},
                                    {"verify"},
                                    {"doctor"},
                                    {"plan"},
                                    {"bench"},
                                    {"bench", "profile"},
                                    {"config", "print"},
                                    {"config", "check"},
                                    {"config", "schema"},
                                    {"data", "build"},
                                    {"data", "inspect"},
                                    {"tokenizer", "train"},
                                    {"tokenizer", "encode"},
                                    {"tokenizer", "decode"},
                                    {"convert"}};

TEST(Help, EveryCommandHasOneWithUsageAndExamples) {
  for (Words words : kLeaves) {
    const std::string name = "terse " + joined(words);
    words.push_back("--help");
    const Result result = terse(words);
    EXPECT_EQ(result.code, 0) << name;
    EXPECT_EQ(result.err, "") << name;
    EXPECT_THAT(result.out, HasSubstr("Usage: " + name + " ")) << name;
    EXPECT_THAT(result.out, HasSubstr("Examples:\n  " + name)) << name;
    EXPECT_THAT(result.out, Not(HasSubstr("\n\n\n"))) << name;
    EXPECT_TRUE(result.out.ends_with("\n") && !result.out.ends_with("\n\n")) << name;
  }
}

TEST(Help, LinesFitAWideTerminal) {
  for (Words words : kLeaves) {
    words.push_back("--help");
    std::istringstream lines(terse(words).out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 140u) << line;
  }
}

TEST(Help, RootListsEveryCommandAndTheExitCodes) {
  const Result result = terse({"--help"});
  EXPECT_EQ(result.code, 0);
  for (const Words& words : kLeaves) EXPECT_THAT(result.out, HasSubstr("\n  " + words.front() + " "));
  for (const char* code : {" 0 ", " 64 ", " 65 ", " 70 ", "71 ", " 74 ", " 75 ", " 76 ", "78 ", " 93 "})
    EXPECT_THAT(result.out, HasSubstr(code));
}

TEST(Help, GroupsListTheirCommands) {
  EXPECT_THAT(terse({"config", "--help"}).out, HasSubstr("Usage: terse config "));
  EXPECT_THAT(terse({"config", "-h"}).out, HasSubstr("schema"));
  EXPECT_THAT(terse({"data", "--help"}).out, HasSubstr("inspect"));
  EXPECT_THAT(terse({"tokenizer", "--help"}).out, HasSubstr("decode"));
}

TEST(Help, WordHelpWorksToo) {
  EXPECT_EQ(terse({"help", "run"}).out, terse({"run", "--help"}).out);
  EXPECT_EQ(terse({"help"}).out, terse({"--help"}).out);
  EXPECT_EQ(terse({"help", "data", "build"}).out, terse({"data", "build", "--help"}).out);
}

TEST(Help, ShowsTheGlobalOptionsOfTheCommandOnly) {
  EXPECT_THAT(terse({"run", "--help"}).out, HasSubstr("--set KEY=VALUE"));
  EXPECT_THAT(terse({"verify", "--help"}).out, Not(HasSubstr("--set")));
}

TEST(Help, NoCommandIsAMistakeThatShowsTheHelp) {
  for (const Words& words : {Words{}, Words{"config"}, Words{"data"}, Words{"--seed", "3"}}) {
    const Result result = terse(words);
    EXPECT_EQ(result.code, 64);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr("Usage: terse"));
  }
}

TEST(Version, TellsCommitAndLibraries) {
  const Result result = terse({"--version"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, ::testing::StartsWith("terse 0."));
  for (const char* part : {"commit ", "LibTorch", "2.11", "HDF5", "yaml-cpp", "OpenSSL"})
    EXPECT_THAT(result.out, HasSubstr(part));
}

}  // namespace
}  // namespace terse::launch::testing
