// Runs every stage on a mixture of tasks: an interrupted run continues bit for bit, the run folder keeps the files of
// all tasks, and records name the tasks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "base/errors.h"
#include "tests/support/stopping_world.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;
using support::json_lines;
using support::run_alone;

constexpr const char* kSmall = R"(
stages: [sft, rl]
run: {device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 1, intermediate_size: 16, max_seq_len: 512, init_std: 0.08}
sft: {steps: 3, batch_size: 4}
rl: {steps: 4, prompts: 4, group_size: 2, demonstrations: 2, eval_every: 2, trace_every: 1, student: {updates: 1, traces: 2}}
eval: {problems_per_difficulty: 2, samples: 2, quick_problems_per_difficulty: 1}
checkpoint: {every: 1}
)";
const std::string kChains = std::string(kSmall) + R"(
task:
  name: mixture
  mixture:
    easy: {name: chain7, k_min: 1, k_max: 2, align_to: 3, weight: 2}
    hard: {name: chain7, k_min: 2, k_max: 3, align_to: 3}
)";

class MixtureRun : public ::testing::Test {
 protected:
  fs::path made(const std::string& name) {
    fs::create_directories(folder_.path() / name);
    return folder_.path() / name;
  }
  // A mixture of two files, which are copies of the samples.
  configs::RunConfig of_files() {
    for (const char* name : {"gsm8k", "jsonl"}) {
      fs::copy_file(fs::path(TERSE_SOURCE_DIR) / "tests/rl/tasks/samples" / (std::string(name) + ".jsonl"),
                    folder_.path() / (std::string(name) + ".jsonl"), fs::copy_options::skip_existing);
    }
    const std::string folder = folder_.path().string() + "/";
    return support::config_of(std::string(kSmall) +
                                  "task:\n  name: mixture\n  mixture:\n    gsm: {name: gsm8k, path: " + folder +
                                  "gsm8k.jsonl, weight: 3}\n    own: {name: jsonl, path: " + folder + "jsonl.jsonl}\n",
                              {"rl.penalty.kind=none", "engine.max_new_tokens=6"});
  }
  support::TemporaryFolder folder_;
};

std::map<std::string, std::string> files_of(const fs::path& dir) {
  std::map<std::string, std::string> out;
  for (const char* name : {"ledger.jsonl", "traces/rl.jsonl", "traces/sft.jsonl"}) {
    std::ifstream file(dir / name, std::ios::binary);
    out[name] = {std::istreambuf_iterator<char>(file), {}};
  }
  return out;
}

checkpoints::StateDict end_of(const fs::path& dir) {
  return checkpoints::load_latest(dir / "checkpoints")->state;
}

TEST_F(MixtureRun, StoppedAndRunAgainContinuesBitForBit) {
  const configs::RunConfig config = support::config_of(kChains);
  const fs::path whole = made("whole"), parts = made("parts");
  run_alone(config, whole);
  int starts = 0;
  while (!support::run_until({"sft", "update"}, config, parts)) ASSERT_LT(++starts, 30);
  EXPECT_GE(starts, 7);
  EXPECT_EQ(support::records_of(whole), support::records_of(parts));
  EXPECT_EQ(files_of(whole), files_of(parts));
  EXPECT_TRUE(support::same_tensors(end_of(whole), end_of(parts)));
}

TEST_F(MixtureRun, OfOneTaskTrainsBitForBitLikeThatTask) {
  const std::string task = "name: chain7, k_min: 1, k_max: 3, align_to: 3";
  const fs::path alone = made("alone"), mixed = made("mixed");
  run_alone(support::config_of(std::string(kSmall) + "task: {" + task + "}\n"), alone);
  run_alone(support::config_of(std::string(kSmall) + "task: {name: mixture, mixture: {only: {" + task + "}}}\n"),
            mixed);
  EXPECT_TRUE(support::same_tensors(end_of(alone), end_of(mixed)));
  const auto a = support::records_of(alone), b = support::records_of(mixed);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    for (const auto& [name, value] : a[i].items()) {
      std::string mixed_name = name;
      if (const size_t at = name.find("/difficulty_"); at != std::string::npos)
        mixed_name = name.starts_with("eval/") ? "eval/task/only/" + name.substr(5) : "task/only/" + name;
      ASSERT_TRUE(b[i].contains(mixed_name)) << mixed_name;
      EXPECT_EQ(b[i].at(mixed_name), value) << name;
    }
  }
}

TEST_F(MixtureRun, RecordsNameTheTasks) {
  const fs::path dir = made("run");
  const nlohmann::json summary = run_alone(of_files(), dir);
  const nlohmann::json& eval = summary.at("stages").back().at("eval");
  EXPECT_EQ(eval.at("task"), "mixture");
  EXPECT_EQ(eval.at("by_task").size(), 2u);
  EXPECT_EQ(eval.at("by_task").at("gsm").at("n").get<int64_t>() + eval.at("by_task").at("own").at("n").get<int64_t>(),
            eval.at("n").get<int64_t>());
  EXPECT_TRUE(eval.at("by_task").at("own").at("parts").contains("has_answer"));
  std::map<std::string, double> groups;
  for (const nlohmann::json& record : json_lines(dir / "metrics.jsonl")) {
    for (const char* name : {"gsm", "own"})
      groups[name] += record.value(std::string("task/") + name + "/rollout/groups", 0.0);
  }
  std::set<std::string> traced;
  for (const char* stage : {"sft", "rl"})
    for (const nlohmann::json& line : json_lines(dir / "traces" / (std::string(stage) + ".jsonl")))
      traced.insert(line.at("task"));
  EXPECT_THAT(traced, ::testing::ElementsAre("gsm", "own"));
  std::map<std::string, double> in_ledger;
  for (const nlohmann::json& line : json_lines(dir / "ledger.jsonl")) {
    std::set<int64_t> used = line.at("trained").get<std::set<int64_t>>(), of_tasks;
    used.merge(line.at("unused").get<std::set<int64_t>>());
    for (const auto& [name, problems] : line.at("tasks").items()) {
      in_ledger[name] += static_cast<double>(problems.size());
      of_tasks.insert(problems.begin(), problems.end());
    }
    EXPECT_EQ(of_tasks, used);
  }
  EXPECT_EQ(in_ledger, groups);
  // Random weights solve nothing, so fresh groups replace those of a step twice.
  EXPECT_EQ(groups["gsm"] + groups["own"], 4 * 4 * 3);
}

TEST_F(MixtureRun, KeepsTheFilesOfEveryTask) {
  const fs::path dir = made("run");
  configs::RunConfig config = of_files();
  config.stages = {"sft"};
  run_alone(config, dir);
  EXPECT_TRUE(fs::exists(dir / "data/task-gsm-train.jsonl"));
  EXPECT_TRUE(fs::exists(dir / "data/task-own-train.jsonl"));
  config.stages = {"sft", "rl"};
  std::ofstream(folder_.path() / "jsonl.jsonl", std::ios::app) << R"({"prompt": "new", "answer": 1})"
                                                               << "\n";
  EXPECT_THAT([&] { run_alone(config, dir); },
              ::testing::ThrowsMessage<ConfigError>(::testing::AllOf(::testing::HasSubstr("task.mixture.own.path: "),
                                                                     ::testing::HasSubstr("has changed since"))));
  for (const char* name : {"gsm8k.jsonl", "jsonl.jsonl"}) fs::remove(folder_.path() / name);
  EXPECT_EQ(run_alone(config, dir).at("stages").size(), 2u);
}

}  // namespace
}  // namespace terse::launch
