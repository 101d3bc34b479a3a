// A run folder belongs to one configuration, and one process at a time may use it.
#include "launch/run/run_dir.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "configs/load.h"
#include "launch/exit_codes.h"
#include "rl/tasks/task.h"
#include "tests/launch/program.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_file;
using testing::TemporaryFolder;

configs::RunConfig config_in(const fs::path& dir) {
  configs::RunConfig config = rl::default_config();
  config.sft.steps = 10;
  config.rl.steps = 10;
  config.run.dir = dir.string();
  return config;
}

configs::RunConfig config_of(const fs::path& path) {
  return configs::load(path.string(), {}, configs::InputFiles::kMustExist, rl::default_config()).config;
}

template <typename Error, typename Work>
std::string message_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

std::string refusal(const configs::RunConfig& config) {
  return message_of<ConfigError>([&] { RunDir dir(config); });
}

TEST(RunDir, IsNamedAfterTheRunUnlessToldOtherwise) {
  configs::RunConfig config = rl::default_config();
  config.run.name = "x";
  EXPECT_EQ(run_dir_of(config), fs::path("runs/x"));
  config.run.dir = "out/y/";
  EXPECT_EQ(run_dir_of(config), fs::path("out/y"));
  config.run.dir = "./out/../y";
  EXPECT_EQ(run_dir_of(config), fs::path("y"));
}

TEST(RunDir, RecordsAConfigurationThatReadsBack) {
  const TemporaryFolder folder;
  const configs::RunConfig config = config_in(folder / "run");
  const RunDir dir(config);
  EXPECT_FALSE(dir.resumed());
  EXPECT_EQ(dir.record(config, {"terse", "run", "a.yaml"}), 0);
  EXPECT_TRUE(config_of(folder / "run/config.yaml") == config);
}

TEST(RunDir, CountsRestartsAndKeepsTheirHistory) {
  const TemporaryFolder folder;
  const configs::RunConfig config = config_in(folder / "run");
  for (int64_t restarts = 0; restarts < 3; ++restarts) {
    const RunDir dir(config);
    EXPECT_EQ(dir.resumed(), restarts > 0);
    EXPECT_EQ(dir.record(config, {"terse", "run"}), restarts);
  }
  const auto record = nlohmann::json::parse(read_file(folder / "run/environment.json"));
  EXPECT_EQ(record["restarts"], 2);
  EXPECT_EQ(record["starts"].size(), 3u);
  for (const char* key : {"commit", "dirty", "libraries", "cpu", "memory", "gpu", "host", "command", "start"})
    EXPECT_TRUE(record.contains(key)) << key;
}

TEST(RunDir, DamagedEnvironmentFileDoesNotStopARun) {
  const TemporaryFolder folder;
  const configs::RunConfig config = config_in(folder / "run");
  const RunDir dir(config);
  folder.write("run/environment.json", "{\"starts\": 3");
  EXPECT_EQ(dir.record(config, {"terse"}), 0);
}

TEST(RunDir, EnvironmentFileHoldsNoEnvironmentVariables) {
  const TemporaryFolder folder;
  ASSERT_EQ(setenv("TERSE_CANARY_TOKEN", "hunter2-canary", 1), 0);
  const configs::RunConfig config = config_in(folder / "run");
  const RunDir dir(config);
  dir.record(config, {"terse"});
  unsetenv("TERSE_CANARY_TOKEN");
  for (const auto& entry : fs::directory_iterator(folder / "run"))
    EXPECT_THAT(read_file(entry.path()), Not(HasSubstr("canary"))) << entry.path();
}

TEST(RunDir, OtherNumbersAreRefusedNamingEachWithBothValues) {
  const TemporaryFolder folder;
  configs::RunConfig config = config_in(folder / "run");
  { RunDir(config).record(config, {}); }
  const std::string before = read_file(folder / "run/config.yaml");
  config.rl.steps = 300;
  config.model.hidden_size = 128;
  config.run.log_every = 3;  // does not change the numbers
  EXPECT_THAT(refusal(config), AllOf(HasSubstr("rl.steps: 10 in the run folder, 300 now"),
                                     HasSubstr("model.hidden_size: 64 in the run folder, 128 now"),
                                     Not(HasSubstr("log_every")), HasSubstr("--run-dir")));
  EXPECT_EQ(read_file(folder / "run/config.yaml"), before);
}

TEST(RunDir, ChangesThatTouchNoNumberAreFineAndRecorded) {
  const TemporaryFolder folder;
  configs::RunConfig config = config_in(folder / "run");
  { RunDir(config).record(config, {}); }
  config.run.log_every = 3;
  config.checkpoint.every = 7;
  const RunDir dir(config);
  EXPECT_TRUE(dir.resumed());
  dir.record(config, {});
  EXPECT_EQ(config_of(folder / "run/config.yaml").run.log_every, 3);
}

TEST(RunDir, UnreadableConfigurationIsNotOverwritten) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "run");
  folder.write("run/config.yaml", "model: [unclosed");
  EXPECT_THAT(refusal(config_in(folder / "run")), HasSubstr("config.yaml cannot be read"));
  EXPECT_EQ(read_file(folder / "run/config.yaml"), "model: [unclosed");
}

TEST(RunDir, FolderWithOtherFilesIsNotTaken) {
  const TemporaryFolder folder;
  folder.write("thesis.tex", "");
  EXPECT_THAT(refusal(config_in(folder.path())), HasSubstr("not a run folder"));
}

TEST(RunDir, StartThatWasKilledBeforeItWroteAnythingIsContinued) {
  const TemporaryFolder folder;
  folder.write("lock", "");
  folder.write("config.yaml.tmp-123-456-1", "half");
  EXPECT_FALSE(RunDir(config_in(folder.path())).resumed());
}

TEST(RunDir, FileInTheWayIsNamed) {
  const TemporaryFolder folder;
  folder.write("run", "");
  EXPECT_THAT(refusal(config_in(folder / "run")),
              AllOf(HasSubstr("it is a file"), HasSubstr((folder / "run").string())));
  EXPECT_THAT(refusal(config_in(folder / "run/deeper")), HasSubstr("is a file"));
}

TEST(RunDir, MissingParentIsNotInvented) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal(config_in(folder / "scrtach/run")),
              AllOf(HasSubstr("parent folder does not exist"), HasSubstr("mkdir -p")));
  EXPECT_FALSE(fs::exists(folder / "scrtach"));
}

TEST(RunDir, UnwritableFolderIsAClearError) {
  // /proc refuses every creation, even by root.
  EXPECT_THAT(refusal(config_in("/proc/terse-run")), HasSubstr("/proc/terse-run cannot be used"));
  EXPECT_THAT(refusal(config_in("/proc/self")), HasSubstr("/proc/self"));
}

TEST(RunLock, SecondHolderIsRefusedAndToldWhoTheFirstIs) {
  const TemporaryFolder folder;
  const configs::RunConfig config = config_in(folder / "run");
  {
    const RunDir first(config);
    EXPECT_TRUE(RunLock::held(folder / "run"));
    EXPECT_THAT(message_of<UsageError>([&] { RunDir second(config); }),
                HasSubstr(fmt::format("process {} on ", getpid())));
  }
  EXPECT_FALSE(RunLock::held(folder / "run"));
  const RunDir again(config);
}

TEST(RunLock, LockFileOfADeadProcessDoesNotBlock) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    new RunLock(folder.path());  // never released
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  ASSERT_THAT(read_file(folder / "lock"), HasSubstr(fmt::format("\"pid\":{}", child)));
  EXPECT_FALSE(RunLock::held(folder.path()));
  const RunLock lock(folder.path());
  EXPECT_THAT(read_file(folder / "lock"), HasSubstr(fmt::format("\"pid\":{}", getpid())));
}

TEST(RunLock, NonsenseInTheLockFileIsNoObstacle) {
  const TemporaryFolder folder;
  folder.write("lock", std::string(10000, 'x'));
  const RunLock lock(folder.path());
  EXPECT_THAT(message_of<UsageError>([&] { RunLock second(folder.path()); }), HasSubstr("in use by process"));
}

TEST(RunLock, SecondRunOfTheProgramIsRefused) {
  const TemporaryFolder folder;
  folder.write("a.yaml", testing::tiny_config());
  fs::create_directories(folder / "runs/tiny");
  const RunLock lock(folder / "runs/tiny");
  const testing::Result result = testing::terse({"run", "a.yaml"}, {.folder = folder.path()});
  EXPECT_EQ(result.code, 64);
  EXPECT_THAT(result.err, AllOf(HasSubstr("in use by process " + std::to_string(getpid())), HasSubstr("--run-dir")));
  EXPECT_FALSE(fs::exists(folder / "runs/tiny/config.yaml"));
}

TEST(RunDir, EmptyFoldersAndLinksToThemMayBePreparedBeforeTheFirstStart) {
  const TemporaryFolder folder, disk;
  const fs::path dir = folder / "run";
  fs::create_directory(dir);
  fs::create_directory_symlink(disk.path(), dir / "checkpoints");
  fs::create_directory(dir / "traces");
  const RunDir opened(config_in(dir));
  EXPECT_FALSE(opened.resumed());
}

TEST(RunDir, APreparedFolderThatHoldsSomethingIsAnotherRuns) {
  const TemporaryFolder folder, disk;
  disk.write("step-100", "");
  const fs::path dir = folder / "run";
  fs::create_directory(dir);
  fs::create_directory_symlink(disk.path(), dir / "checkpoints");
  EXPECT_THAT(refusal(config_in(dir)), HasSubstr("contains files but no config.yaml"));
}

TEST(RunDir, ALinkToNowhereIsNamedWithWhatItPointsTo) {
  const TemporaryFolder folder;
  const fs::path dir = folder / "run", runs = folder / "runs";
  fs::create_directory(dir);
  fs::create_directory_symlink("/nowhere/a", dir / "checkpoints");
  EXPECT_THAT(refusal(config_in(dir)), AllOf(HasSubstr("checkpoints is a link to /nowhere/a"), HasSubstr("mkdir -p")));
  fs::create_directory_symlink("elsewhere", runs);
  EXPECT_THAT(refusal(config_in(runs / "x")),
              AllOf(HasSubstr("runs is a link to elsewhere"), HasSubstr((folder / "elsewhere").string())));
  EXPECT_THAT(refusal(config_in(runs)), HasSubstr("runs is a link to elsewhere"));
}

}  // namespace
}  // namespace terse::launch
