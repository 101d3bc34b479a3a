// Tests terse run from the outside: a whole tiny run, interruption, resumption, and the commands on its folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "checkpoints/store.h"
#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class RunCommand : public ::testing::Test {
 protected:
  void SetUp() override { folder_.write("a.yaml", tiny_config()); }
  Surroundings here() const { return {.folder = folder_.path()}; }
  Result run(const std::vector<std::string>& more = {}) const { return terse(arguments(more), here()); }
  static std::vector<std::string> arguments(const std::vector<std::string>& more) {
    std::vector<std::string> all = {"run", "a.yaml"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // Returns the records of metrics.jsonl without the values that depend on the clock.
  std::vector<nlohmann::json> metrics(const std::string& dir) const {
    std::vector<nlohmann::json> records;
    std::istringstream lines(read_file(folder_ / dir / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      nlohmann::json record = nlohmann::json::parse(line), kept;
      for (const auto& [name, value] : record.items())
        if (!name.starts_with("time") && !name.starts_with("engine/") && name != "step_time" &&
            !name.ends_with("tokens_per_s") && name != "mfu")
          kept[name] = value;
      records.push_back(kept);
    }
    return records;
  }
  TemporaryFolder folder_;
};

TEST_F(RunCommand, TrainsReportsAndLeavesASoundFolder) {
  const Result first = run();
  ASSERT_EQ(first.code, 0) << first.out << first.err;
  EXPECT_THAT(first.out,
              AllOf(HasSubstr("done in "), HasSubstr("chain7: accuracy "), HasSubstr("report: runs/tiny/report.html")));
  for (const char* file : {"config.yaml", "environment.json", "log.txt", "metrics.jsonl", "summary.json", "report.html",
                           "checkpoints/latest"})
    EXPECT_TRUE(fs::exists(folder_ / "runs/tiny" / file)) << file;
  EXPECT_EQ(terse({"verify", "runs/tiny"}, here()).code, 0) << terse({"verify", "runs/tiny"}, here()).out;

  const std::string metrics_before = read_file(folder_ / "runs/tiny/metrics.jsonl");
  const Result again = run();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("runs/tiny: already complete"));
  EXPECT_EQ(read_file(folder_ / "runs/tiny/metrics.jsonl"), metrics_before);
  EXPECT_EQ(first.out.substr(first.out.find("chain7: accuracy ")),
            again.out.substr(again.out.find("chain7: accuracy ")));

  const Result other = run({"--set", "rl.steps=3"});
  EXPECT_EQ(other.code, 78);
  EXPECT_THAT(other.err, HasSubstr("rl.steps: 2 in the run folder, 3 now"));
}

TEST_F(RunCommand, StartsTheProgramOfATaskOnce) {
  const std::string script = TERSE_SOURCE_DIR "/tests/rl/tasks/external/double.py", pids = folder_ / "pids";
  const Result result =
      run({"--set", "stages=[eval]", "--set", "task.name=external", "--set", "task.workers=1", "--set",
           "task.command=[python3, -S, " + script + ", pids=" + pids + "]", "--set", "engine.max_new_tokens=4"});
  ASSERT_EQ(result.code, 0) << result.out << result.err;
  const std::string noted = read_file(pids);
  EXPECT_EQ(std::count(noted.begin(), noted.end(), '\n'), 1) << noted;
}

TEST_F(RunCommand, LimitsBetweenSectionsAreToldBeforeAnythingIsCreated) {
  const std::vector<std::string> harder = {"--set", "task.k_max=20", "--set", "task.align_to=20"};
  for (const char* command : {"run", "plan"}) {
    std::vector<std::string> all = {command, "a.yaml"};
    all.insert(all.end(), harder.begin(), harder.end());
    const Result result = terse(all, here());
    EXPECT_EQ(result.code, 78) << command << result.out << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, AllOf(HasSubstr("is 128, but sft needs 287"), HasSubstr("is 128, but generation needs 299"),
                                  HasSubstr("model.max_seq_len: a.yaml:3"), HasSubstr("task.k_max: --set")));
  }
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(RunCommand, GreedyGenerationIsTheLikeliestAndTheSameForEverySample) {
  ASSERT_EQ(run().code, 0);
  const auto generate = [&](const std::string& temperature, const std::string& seed) {
    const Result result = terse({"generate", "runs/tiny", "<bos> 3+2*5=", "--samples", "2", "--json", "--temperature",
                                 temperature, "--seed", seed, "--max-new-tokens", "12"},
                                here());
    EXPECT_EQ(result.code, 0) << temperature << result.err;
    return result.out;
  };
  const std::string greedy = generate("0", "1");
  EXPECT_EQ(generate("0", "2"), greedy);
  EXPECT_EQ(generate("1e-31", "3"), greedy);
  EXPECT_EQ(generate("1e-37", "3"), greedy);
  std::istringstream lines(greedy);
  std::string first, second;
  std::getline(lines, first);
  std::getline(lines, second);
  EXPECT_EQ(nlohmann::json::parse(first)["text"], nlohmann::json::parse(second)["text"]);
}

TEST_F(RunCommand, ThreadsMayChangeBetweenTwoStarts) {
  ASSERT_EQ(run({"--set", "run.threads=2"}).code, 0);
  const std::string numbers = nlohmann::json(metrics("runs/tiny")).dump();
  const Result again = run({"--set", "run.threads=1"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("already complete"));
  ASSERT_EQ(run({"--set", "run.name=one", "--set", "run.threads=1"}).code, 0);
  EXPECT_EQ(nlohmann::json(metrics("runs/one")).dump(), numbers) << "the number of threads changes no bit";
}

TEST_F(RunCommand, FinishedItNeedsNoCheckpointsAndMakesNone) {
  ASSERT_EQ(run().code, 0);
  fs::remove_all(folder_ / "runs/tiny/checkpoints");
  const Result again = run();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("runs/tiny: already complete"));
  EXPECT_FALSE(fs::exists(folder_ / "runs/tiny/checkpoints"));
}

TEST_F(RunCommand, CommandsWorkOnItsFolderAndItsCheckpoints) {
  ASSERT_EQ(run().code, 0);
  const fs::path latest = "runs/tiny/checkpoints/step-6";
  for (const fs::path& target : {fs::path("runs/tiny"), latest}) {
    const Result table = terse({"eval", target, "--problems", "2", "--samples", "16"}, here());
    EXPECT_EQ(table.code, 0) << table.err;
    EXPECT_THAT(table.out, AllOf(HasSubstr("difficulty"), HasSubstr("mean tokens"), HasSubstr("all")));
    EXPECT_THAT(table.out, ContainsRegex("pass@1 .*, pass@2 .*, pass@4 .*, pass@8 .*, pass@16 "));
    EXPECT_EQ(terse({"verify", target}, here()).code, 0);
  }
  const Result json = terse({"eval", "runs/tiny", "--problems", "2", "--samples", "1", "--json"}, here());
  EXPECT_EQ(nlohmann::json::parse(json.out)["task"], "chain7") << json.err;
  EXPECT_EQ(terse({"eval", "runs/tiny", "--problems", "2", "--samples", "1", "--json"}, here()).out, json.out);

  const std::string problem = "3+4=";
  const Result text = terse({"generate", "runs/tiny", problem, "--samples", "2", "--json"}, here());
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(std::count(text.out.begin(), text.out.end(), '\n'), 2);
  EXPECT_EQ(
      terse({"generate", "runs/tiny", "--samples", "2", "--json"}, {.folder = folder_.path(), .input = problem + "\n"})
          .out,
      text.out);
  const Result foreign = terse({"generate", "runs/tiny", "caf\xC3\xA9"}, here());
  EXPECT_EQ(foreign.code, 64) << foreign.err;
  EXPECT_EQ(terse({"report", "runs/tiny", "-o", "r.html"}, here()).code, 0);
  EXPECT_THAT(read_file(folder_ / "r.html"), HasSubstr("<html"));
  EXPECT_EQ(terse({"report", "runs/tiny", "-o", "r.html"}, here()).code, 0) << "a report may replace a report";
  const std::string config = read_file(folder_ / "runs/tiny/config.yaml");
  for (const char* output : {"runs/tiny/config.yaml", "a.yaml", "new/r.html"}) {
    const Result refused = terse({"report", "runs/tiny", "-o", output}, here());
    EXPECT_EQ(refused.code, 64) << output << refused.err;
  }
  EXPECT_EQ(read_file(folder_ / "runs/tiny/config.yaml"), config);
  EXPECT_EQ(read_file(folder_ / "a.yaml"), tiny_config());
  EXPECT_FALSE(fs::exists(folder_ / "new"));
}

TEST_F(RunCommand, StoppedByASignalItSavesAndTheSameCommandGoesOnTheSame) {
  const std::vector<std::string> longer = {"--set", "sft.steps=400", "--set", "checkpoint.every=0"};
  std::vector<std::string> whole = longer, stopped = longer;
  whole.insert(whole.end(), {"--run-dir", "whole"});
  stopped.insert(stopped.end(), {"--run-dir", "stopped"});
  ASSERT_EQ(run(whole).code, 0);
  for (const int number : {SIGUSR1, SIGTERM, SIGINT}) {
    fs::remove_all(folder_ / "stopped");
    Program program(arguments(stopped), here());
    ASSERT_TRUE(program.wait_until([&] { return !metrics("stopped").empty(); }));
    program.signal(number);
    const Result result = program.wait();
    EXPECT_EQ(result.code, 75) << number << result.out << result.err;
    EXPECT_THAT(result.err, HasSubstr("saved at step")) << number;
    const Result resumed = run(stopped);
    EXPECT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_EQ(metrics("stopped"), metrics("whole")) << number;
    const auto record = nlohmann::json::parse(read_file(folder_ / "stopped/environment.json"));
    EXPECT_EQ(record["restarts"], 1);
  }
}

TEST_F(RunCommand, SignalDuringStartUpIsNotLost) {
  Program program(arguments({"--set", "sft.steps=100000"}), here());
  ASSERT_TRUE(program.wait_until([&] { return fs::exists(folder_ / "runs/tiny/environment.json"); }));
  program.signal(SIGUSR1);
  EXPECT_EQ(program.wait().code, 75);
}

TEST_F(RunCommand, Usr2SavesAndGoesOn) {
  Program program(arguments({"--set", "sft.steps=100000", "--set", "checkpoint.every=0"}), here());
  ASSERT_TRUE(program.wait_until([&] { return !read_file(folder_ / "runs/tiny/metrics.jsonl").empty(); }));
  program.signal(SIGUSR2);
  EXPECT_TRUE(program.wait_until([&] { return fs::exists(folder_ / "runs/tiny/checkpoints/latest"); }));
  program.signal(SIGUSR1);
  EXPECT_EQ(program.wait().code, 75);
}

// The kills come at any moment: during start-up, in any stage or evaluation, or while a checkpoint is written (every
// second step writes one).
TEST_F(RunCommand, KilledTwentyTimesItEndsTheSame) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "3+2=5;";
  folder_.write("corpus.txt", text);
  const std::vector<std::string> longer = {"--set",   "stages=[pretrain, sft, rl]",
                                           "--set",   "data.train=corpus.txt",
                                           "--set",   "pretrain.steps=100",
                                           "--set",   "pretrain.batch_size=4",
                                           "--set",   "pretrain.seq_len=16",
                                           "--set",   "rl.trace_every=1",
                                           "--set",   "sft.steps=300",
                                           "--set",   "rl.steps=60",
                                           "--set",   "rl.prompts=4",
                                           "--set",   "rl.group_size=4",
                                           "--set",   "rl.demonstrations=8",
                                           "--set",   "rl.student.traces=8",
                                           "--set",   "rl.eval_every=7",
                                           "--set",   "checkpoint.every=2",
                                           "--retry", "--run-dir"};
  std::vector<std::string> whole = longer, killed = longer;
  whole.push_back("whole");
  killed.push_back("killed");
  ASSERT_EQ(run(whole).code, 0);
  const auto lines = [&] {
    const std::string metrics = read_file(folder_ / "killed/metrics.jsonl");
    return std::count(metrics.begin(), metrics.end(), '\n');
  };
  std::mt19937 random(20);
  for (int kills = 0; kills < 20; ++kills) {
    const auto target = lines() + std::uniform_int_distribution<int64_t>(0, 20)(random);
    const std::chrono::microseconds more(std::uniform_int_distribution<int64_t>(0, 20000)(random));
    Program program(arguments(killed), here());
    ASSERT_TRUE(program.wait_until([&] { return lines() >= target; }));
    std::this_thread::sleep_for(more);
    program.signal(SIGKILL);
    ASSERT_EQ(program.wait().code, 128 + SIGKILL) << "it ended before kill " << kills;
  }
  const Result resumed = run(killed);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_TRUE(metrics("killed") == metrics("whole"));
  for (const char* file : {"traces/pretrain.jsonl", "traces/sft.jsonl", "traces/rl.jsonl", "ledger.jsonl"}) {
    EXPECT_FALSE(read_file(folder_ / "whole" / file).empty()) << file;
    EXPECT_TRUE(read_file(folder_ / "killed" / file) == read_file(folder_ / "whole" / file)) << file;
  }
  EXPECT_EQ(terse({"verify", "killed"}, here()).code, 0);
  const auto ours = checkpoints::load_latest(folder_ / "killed/checkpoints"),
             theirs = checkpoints::load_latest(folder_ / "whole/checkpoints");
  ASSERT_EQ(ours->info.step, 460);
  ASSERT_EQ(ours->state.tensors.size(), theirs->state.tensors.size());
  for (const auto& [name, shard] : theirs->state.tensors)
    EXPECT_TRUE(torch::equal(ours->state.tensors.at(name).data, shard.data)) << name;
}

TEST_F(RunCommand, ThreeDeathsAtOneCheckpointAreEnough) {
  const std::vector<std::string> endless = {"--set", "sft.steps=1000000", "--set", "checkpoint.every=0"};
  const auto start_and = [&](int number, std::vector<std::string> more = {}) {
    more.insert(more.end(), endless.begin(), endless.end());
    const std::string before = read_file(folder_ / "runs/tiny/environment.json");
    Program program(arguments(more), here());
    EXPECT_TRUE(program.wait_until([&] { return read_file(folder_ / "runs/tiny/environment.json") != before; }));
    program.signal(number);
    return program.wait().code;
  };
  for (int start = 0; start < 3; ++start) EXPECT_EQ(start_and(SIGKILL), 128 + SIGKILL);
  const Result refused = run(endless);
  EXPECT_EQ(refused.code, 93);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("runs/tiny"), HasSubstr("without a checkpoint"), HasSubstr("--retry")));
  EXPECT_EQ(start_and(SIGUSR1, {"--retry"}), 75);
  EXPECT_EQ(start_and(SIGUSR1), 75);
}

TEST_F(RunCommand, ADeviceThatIsNotHereIsNoBug) {
  const Surroundings no_gpu = {.folder = folder_.path(), .environment = {"CUDA_VISIBLE_DEVICES="}};
  ASSERT_EQ(run().code, 0);
  for (const auto& command : {std::vector<std::string>{"run", "a.yaml", "--run-dir", "other", "--device", "cuda"},
                              std::vector<std::string>{"eval", "runs/tiny", "--device", "cuda"},
                              std::vector<std::string>{"generate", "runs/tiny", "3+4=", "--device", "cuda"}}) {
    const Result result = terse(command, no_gpu);
    EXPECT_EQ(result.code, 78) << command.front() << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("--device auto or cpu"), Not(HasSubstr("bug"))));
  }
}

TEST_F(RunCommand, NoUsableCheckpointIsExitCode65) {
  ASSERT_EQ(run().code, 0);
  fs::remove(folder_ / "runs/tiny/summary.json");  // so that the run does not count as finished
  for (const auto& entry : fs::directory_iterator(folder_ / "runs/tiny/checkpoints"))
    if (entry.is_directory()) fs::resize_file(entry.path() / "MANIFEST.json", 10);
  const Result result = run();
  EXPECT_EQ(result.code, 65) << result.out << result.err;
  EXPECT_THAT(result.err, HasSubstr("step-"));
}

}  // namespace
}  // namespace terse::launch::testing
