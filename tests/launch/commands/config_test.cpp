// Tests terse config, and the mistakes that newcomers make in a configuration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ConfigCommand : public ::testing::Test {
 protected:
  Result check(const std::string& yaml, const std::vector<std::string>& more = {}) {
    folder_.write("a.yaml", yaml);
    std::vector<std::string> arguments = {"config", "check", "a.yaml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return terse(arguments, {.folder = folder_.path()});
  }
  void expect_mistake(const std::string& yaml, const ::testing::Matcher<std::string>& message,
                      const std::vector<std::string>& more = {}) {
    const Result result = check(yaml, more);
    EXPECT_EQ(result.code, 78) << yaml << result.out << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, message);
    // The run itself is refused in the same way and leaves nothing behind.
    std::vector<std::string> arguments = {"run", "a.yaml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(terse(arguments, {.folder = folder_.path()}).code, 78);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
  }
  TemporaryFolder folder_;
};

TEST_F(ConfigCommand, CheckSaysOk) {
  const Result result = check(tiny_config());
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("ok: a.yaml"), HasSubstr("sft, rl"), HasSubstr("runs/tiny")));
}

TEST_F(ConfigCommand, OlderNamesOfOptionsGiveOneWarningEach) {
  const Result result =
      check("stages: [sft]\nsft: {steps: 1}\nmodel:\n  width: 32\n", {"--set", "rl.practice.updates=1"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err,
            "terse: warning: a.yaml:4: model.width is now called model.hidden_size\n"
            "terse: warning: --set 'rl.practice.updates=1': rl.practice.updates is now called rl.student.updates\n");
}

TEST_F(ConfigCommand, UnknownKey) {
  expect_mistake("run:\n  frobnicate: 3\n", AllOf(HasSubstr("a.yaml:2"), HasSubstr("frobnicate")));
}
TEST_F(ConfigCommand, MisspeltKey) {
  expect_mistake("model:\n  hedas: 4\n", AllOf(HasSubstr("a.yaml:2"), HasSubstr("heads")));
}
TEST_F(ConfigCommand, WrongType) {
  expect_mistake("run:\n  seed: many\n", AllOf(HasSubstr("a.yaml:2"), HasSubstr("many")));
}
TEST_F(ConfigCommand, Duplicate) {
  expect_mistake("sft:\n  steps: 3\n  steps: 4\n", AllOf(HasSubstr("a.yaml:3"), HasSubstr("steps")));
}
TEST_F(ConfigCommand, NegativeSize) {
  expect_mistake("sft:\n  batch_size: -4\n", AllOf(HasSubstr("a.yaml:2"), HasSubstr("-4")));
}
TEST_F(ConfigCommand, HeadsThatDoNotDivideTheHiddenSize) {
  expect_mistake("model:\n  hidden_size: 64\n  heads: 7\n", AllOf(HasSubstr("heads"), HasSubstr("64")));
}
TEST_F(ConfigCommand, AliasBomb) {
  std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 8; ++j) yaml += ", " + before;
    yaml += "]\n";
  }
  expect_mistake(yaml, HasSubstr("a.yaml"));
}
TEST_F(ConfigCommand, MissingFile) {
  const Result result = terse({"run", "nowhere.yaml"}, {.folder = folder_.path()});
  EXPECT_EQ(result.code, 78);
  EXPECT_THAT(result.err, HasSubstr("nowhere.yaml"));
}
TEST_F(ConfigCommand, BadSet) {
  expect_mistake(tiny_config(), HasSubstr("sft.stepz"), {"--set", "sft.stepz=3"});
  expect_mistake(tiny_config(), HasSubstr("--set"), {"--set", "sft.steps"});
  expect_mistake(tiny_config(), HasSubstr("lots"), {"--set", "sft.steps=lots"});
}
TEST_F(ConfigCommand, UnknownTask) {
  expect_mistake("task:\n  name: chain8\n", AllOf(HasSubstr("chain8"), HasSubstr("chain7")));
}
TEST_F(ConfigCommand, AllMistakesAtOnce) {
  expect_mistake("run:\n  seed: x\nmodel:\n  hedas: 3\n", AllOf(HasSubstr("a.yaml:2"), HasSubstr("a.yaml:4")));
}
TEST_F(ConfigCommand, DeviceThatIsNotThere) {
  folder_.write("a.yaml", tiny_config());
  const Result run = terse({"run", "a.yaml", "--device", "cuda"},
                           {.folder = folder_.path(), .environment = {"CUDA_VISIBLE_DEVICES="}});  // hides any GPU
  EXPECT_EQ(run.code, 78);
  EXPECT_THAT(run.err, HasSubstr("terse doctor"));
}

TEST_F(ConfigCommand, PrintTellsWhereValuesCameFromAndReadsBack) {
  folder_.write("a.yaml", tiny_config());
  const Surroundings here = {.folder = folder_.path()};
  const Result result =
      terse({"config", "print", "a.yaml", "--set", "rl.steps=9", "--seed", "4", "--run-dir", "odd: #name"}, here);
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char* part : {"a.yaml:4", "--set", "--seed", "--run-dir"}) EXPECT_THAT(result.out, HasSubstr(part));
  folder_.write("b.yaml", result.out);
  EXPECT_EQ(
      terse({"config", "print", "b.yaml", "--plain"}, here).out,
      terse({"config", "print", "a.yaml", "--plain", "--set", "rl.steps=9", "--seed", "4", "--run-dir", "odd: #name"},
            here)
          .out);
}

TEST_F(ConfigCommand, NumbersDoNotDependOnTheLocale) {
  folder_.write("a.yaml", tiny_config());
  const Result plain = terse({"config", "print", "a.yaml"}, {.folder = folder_.path()});
  const Result german =
      terse({"config", "print", "a.yaml"}, {.folder = folder_.path(), .environment = {"LC_ALL=de_DE.UTF-8"}});
  EXPECT_EQ(plain.out, german.out);
}

TEST_F(ConfigCommand, SchemaIsJson) {
  const Result result = terse({"config", "schema"});
  EXPECT_EQ(result.code, 0);
  EXPECT_TRUE(nlohmann::json::parse(result.out).contains("properties"));
  EXPECT_THAT(terse({"config", "schema", "--markdown"}).out, HasSubstr("group_relative"));
}

TEST_F(ConfigCommand, ShippedConfigurationsAreRight) {
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(TERSE_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() != ".yaml") continue;
    std::vector<std::string> command = {"config", "check", entry.path().string()};
    // Only a data set or a model that has to be fetched first may be missing. Where somebody has fetched the model, the
    // check would go on and start the program of an external task, which is not installed.
    const std::string text = support::read_file(entry.path());
    if (text.find("init: models/") != std::string::npos) command.insert(command.end(), {"--set", "model.init=absent"});
    const Result result = terse(command);
    if (result.code != 0) {
      EXPECT_THAT(result.err, ::testing::AnyOf(HasSubstr("data."), HasSubstr("task.path"), HasSubstr("model.init")))
          << entry.path();
    }
  }
}

}  // namespace
}  // namespace terse::launch::testing
