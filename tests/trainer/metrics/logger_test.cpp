// The complete logger: resuming, failing disks, and the progress line. TensorBoard's own reader checks the event files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"
#include "trainer/metrics/metric_logger.h"

namespace terse::trainer {
namespace {

using nlohmann::json;
using support::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<json> records(const std::filesystem::path& run) {
  std::ifstream stream(run / "metrics.jsonl");
  std::vector<json> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

std::vector<int64_t> steps(const std::filesystem::path& run) {
  std::vector<int64_t> out;
  for (const json& record : records(run)) out.push_back(record.at("step"));
  return out;
}

// The scalars in the run's event files, read by TensorBoard's reader.
json tensorboard(const std::filesystem::path& run) {
  const char* cache = std::getenv("TERSE_CACHE");
  const std::string folder = cache != nullptr ? cache : std::string(std::getenv("HOME")) + "/.cache/terse";
  const std::string python = folder + "/test-venv/bin/python";
  if (::access(python.c_str(), X_OK) != 0) {
    ADD_FAILURE() << "no " << python << ": run scripts/setup.sh, which installs TensorBoard's reader for the tests";
    return {};
  }
  const std::string errors = (run / "reader-errors.txt").string();
  const auto result = support::run_program(
      {python, TERSE_SOURCE_DIR "/tests/support/read_events.py", (run / "tensorboard").string()}, errors);
  EXPECT_EQ(result.exit_code, 0) << content(errors);
  return json::parse(result.output, nullptr, false);
}

// A console that writes to memory, and a clock that the test advances.
struct Harness {
  TemporaryFolder run;
  char* buffer = nullptr;
  size_t size = 0;
  std::FILE* stream = ::open_memstream(&buffer, &size);
  double now = 0;
  std::unique_ptr<Console> console;

  explicit Harness(bool terminal = false) : console(std::make_unique<Console>(stream, terminal)) {}
  ~Harness() {
    console.reset();
    std::fclose(stream);
    std::free(buffer);
  }
  MetricLoggerOptions options() {
    return {.console = console.get(), .clock = [this] { return now; }};
  }
  std::string said() {
    std::fflush(stream);
    return std::string(buffer, size);
  }
};

TEST(MetricLogger, TensorBoardReadsEqualValues) {
  Harness h;
  {
    MetricLogger logger(h.run.path(), h.options());
    logger.rewind({});
    for (int64_t step = 1; step <= 300; ++step) {
      logger.log("sft", step, step, {{"loss", 1.0 / static_cast<double>(step)}, {"completions/mean_length", 3e-42}});
    }
    logger.log("rl", 1, 301, {{"accuracy", NAN}, {"eval/accuracy/difficulty_3", 0.1}, {"kl", -1e30}});
  }
  const json tags = tensorboard(h.run.path());
  std::set<std::string> names;
  for (const auto& [tag, points] : tags.items()) names.insert(tag);
  EXPECT_THAT(names, ElementsAre("rl.eval/accuracy/difficulty_3", "rl/accuracy", "rl/kl", "sft.completions/mean_length",
                                 "sft/loss"));
  const json& loss = tags.at("sft/loss");
  ASSERT_EQ(loss.size(), 300);
  for (int64_t i = 0; i < 300; ++i) {
    EXPECT_EQ(loss[static_cast<size_t>(i)][0], i + 1);
    EXPECT_EQ(loss[static_cast<size_t>(i)][1].get<double>(), static_cast<float>(1.0 / static_cast<double>(i + 1)));
  }
  EXPECT_EQ(tags.at("sft.completions/mean_length")[0][1].get<double>(), 3e-42f);
  EXPECT_EQ(tags.at("rl/kl")[0], (json{301, -1e30f}));
  EXPECT_EQ(tags.at("rl/accuracy")[0], (json{301, nullptr}));
  EXPECT_EQ(tags.at("rl.eval/accuracy/difficulty_3")[0], (json{301, 0.1f}));
}

TEST(MetricLogger, ResumedRunHasEachStepOnceInBothRecords) {
  Harness h;
  json saved;
  {
    MetricLogger logger(h.run.path(), h.options());
    logger.rewind({});
    for (int64_t step = 1; step <= 20; ++step) {
      logger.log("rl", step, 100 + step, {{"loss", 1}});
      if (step == 12) saved = logger.position();
    }
  }
  std::ofstream(h.run.path() / "metrics.jsonl", std::ios::app) << "{\"time\":";  // as a kill leaves it
  {
    MetricLogger logger(h.run.path(), h.options());
    logger.rewind(saved.get<MetricPosition>());
    for (int64_t step = 13; step <= 15; ++step) logger.log("rl", step, 100 + step, {{"loss", 2}});
  }
  EXPECT_THAT(steps(h.run.path()), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const json tags = tensorboard(h.run.path());
  ASSERT_EQ(tags.at("rl/loss").size(), 15);
  for (int64_t i = 0; i < 15; ++i)
    EXPECT_EQ(tags.at("rl/loss")[static_cast<size_t>(i)], (json{101 + i, i < 12 ? 1 : 2}));
}

TEST(MetricLogger, EveryLineFileGoesBackToTheCheckpoint) {
  Harness h;
  const auto options = [&] {
    MetricLoggerOptions all = h.options();
    all.files = {"ledger.jsonl", "traces/sft.jsonl", "traces/rl.jsonl"};
    return all;
  };
  json saved;
  {
    MetricLogger logger(h.run.path(), options());
    logger.rewind({});
    logger.append("traces/sft.jsonl", "1");
    logger.log("sft", 1, 1, {});
    saved = logger.position();
    for (const char* file : {"ledger.jsonl", "traces/sft.jsonl", "traces/rl.jsonl"}) logger.append(file, "2");
    logger.log("sft", 2, 2, {});
  }
  const auto expect_the_checkpoint = [&] {
    EXPECT_EQ(steps(h.run.path()).size(), 1);
    EXPECT_EQ(content(h.run.path() / "traces/sft.jsonl"), "1\n");
    EXPECT_EQ(content(h.run.path() / "traces/rl.jsonl"), "");
    EXPECT_EQ(content(h.run.path() / "ledger.jsonl"), "");
  };
  {
    MetricLogger logger(h.run.path(), options());
    logger.rewind(saved.get<MetricPosition>());
    expect_the_checkpoint();
    // A checkpoint of an older build has the position of metrics.jsonl only.
    logger.append("traces/rl.jsonl", "3");
    logger.rewind(json{{"bytes", saved["files"]["metrics.jsonl"]}, {"global_step", 1}}.get<MetricPosition>());
    EXPECT_EQ(content(h.run.path() / "traces/rl.jsonl"), "3\n");
    logger.rewind(saved.get<MetricPosition>());
    expect_the_checkpoint();
    logger.rewind({});
  }
  EXPECT_EQ(content(h.run.path() / "traces/sft.jsonl"), "");
  EXPECT_EQ(h.said(), "");
}

TEST(MetricLogger, AnOutageOfALineFileIsToldWhenItEnds) {
  Harness h;
  MetricLoggerOptions options = h.options();
  options.files = {"traces/rl.jsonl"};
  MetricLogger logger(h.run.path(), options);
  std::ofstream(h.run.path() / "traces") << "a file where the folder should be";
  EXPECT_THROW(logger.append("traces/rl.jsonl", "1"), MetricsError);
  EXPECT_NO_THROW(logger.append("traces/rl.jsonl", "2"));
  std::filesystem::remove(h.run.path() / "traces");
  logger.append("traces/rl.jsonl", "3");
  EXPECT_EQ(content(h.run.path() / "traces/rl.jsonl"), "3\n");
  EXPECT_THAT(h.said(), HasSubstr("traces/rl.jsonl can be written again; 2 lines are missing in it"));
  EXPECT_THROW(logger.append("traces/sft.jsonl", "1"), std::logic_error) << "no checkpoint would know of it";
}

TEST(MetricLogger, WhatATornLineLeftInTheLogStaysALineOfItsOwn) {
  Harness h;
  std::ofstream(h.run.path() / "log.txt") << "whole\nhalf of a li";
  MetricLogger(h.run.path(), h.options()).say("next");
  MetricLogger(h.run.path(), h.options()).say("last");
  EXPECT_THAT(content(h.run.path() / "log.txt"),
              testing::MatchesRegex("whole\nhalf of a li\n[^\n]+ next\n[^\n]+ last\n"));
}

TEST(MetricLogger, StartingAfreshInAnOldFolderLeavesNothingOfTheOldRun) {
  Harness h;
  for (int start = 0; start < 3; ++start) {
    MetricLogger logger(h.run.path(), h.options());
    logger.rewind({});
    logger.log("sft", 1, 1, {{"loss", start}});
  }
  EXPECT_EQ(records(h.run.path()).size(), 1);
  EXPECT_EQ(tensorboard(h.run.path()).at("sft/loss"), (json{{1, 2}}));
}

TEST(MetricLogger, RecordsLostByTheDiskAreReportedAtResume) {
  Harness h;
  MetricLogger logger(h.run.path(), h.options());
  logger.log("sft", 1, 1, {{"loss", 1}});
  MetricPosition position = logger.position();
  position.files.at("metrics.jsonl") += 100;
  logger.rewind(position);
  EXPECT_EQ(steps(h.run.path()).size(), 1);
  EXPECT_THAT(h.said(), HasSubstr("lines are missing"));
}

TEST(MetricLogger, AKilledProcessLosesNoRecord) {
  TemporaryFolder run;
  const pid_t child = ::fork();
  if (child == 0) {
    std::FILE* nothing = std::fopen("/dev/null", "w");
    Console console(nothing, false);
    MetricLogger logger(run.path(), {.console = &console, .clock = {}});
    for (int64_t step = 1; step <= 7; ++step) logger.log("sft", step, step, {{"loss", 1}});
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(records(run.path()).size(), 7);
  EXPECT_EQ(tensorboard(run.path()).at("sft/loss").size(), 7);
}

TEST(MetricLogger, AFullDiskUnderMetricsIsAnErrorOnce) {
  Harness h;
  std::filesystem::create_symlink("/dev/full", h.run.path() / "metrics.jsonl");
  MetricLogger logger(h.run.path(), h.options());
  EXPECT_THROW(logger.log("sft", 1, 1, {{"loss", 1}}), MetricsError);
  EXPECT_NO_THROW(logger.log("sft", 2, 2, {{"loss", 1}}));
}

TEST(MetricLogger, BrokenEventFilesAreOneWarningAndTrainingGoesOn) {
  Harness h;
  std::ofstream(h.run.path() / "tensorboard") << "a file where the folder should be";
  MetricLogger logger(h.run.path(), h.options());
  for (int64_t step = 1; step <= 3; ++step) logger.log("sft", step, step, {{"loss", 1}});
  EXPECT_EQ(records(h.run.path()).size(), 3);
  const std::string said = h.said();
  const size_t first = said.find("writes no more TensorBoard events");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(said.find("writes no more TensorBoard events", first + 1), std::string::npos);
}

TEST(MetricLogger, PlainProgressComesAtIntervalsAndAtTheEnd) {
  Harness h;
  MetricLogger logger(h.run.path(), h.options());
  logger.begin_stage("sft", 0, 100);
  for (int64_t step = 1; step <= 100; ++step) {
    h.now += 0.11;
    logger.step_done();
    if (step % 10 == 0) logger.log("sft", step, step, {{"loss", 2}});
  }
  logger.log("sft", 100, 100, {{"eval/accuracy", 1}});
  const std::string said = h.said();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 4) << said;  // at 0, 5 and 10 seconds, and at the last step
  EXPECT_THAT(said, HasSubstr("sft 100/100 100% | loss 2.00\n"));
  EXPECT_EQ(said.find('\r'), std::string::npos);
  EXPECT_THAT(content(h.run.path() / "log.txt"), HasSubstr("sft 100/100 100%"));
}

TEST(MetricLogger, OnATerminalOneLineIsRedrawn) {
  Harness h(true);
  {
    MetricLogger logger(h.run.path(), h.options());
    logger.begin_stage("rl", 0, 3);
    for (int step = 1; step <= 3; ++step) {
      h.now += 1;
      logger.step_done();
      if (step == 2) logger.say("checkpoint");
    }
  }
  const std::string said = h.said();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 2) << said;
  EXPECT_THAT(said, HasSubstr("\rrl 3/3 100%"));
}

}  // namespace
}  // namespace terse::trainer
