// Tests whole runs in miniature: they learn, and an interrupted run continues bit for bit.
#include "launch/run/stages/run_stages.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <set>

#include "tests/support/stopping_world.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;
using support::records_of;
using support::run_alone;
using support::run_until;

configs::RunConfig tiny_run() {
  configs::RunConfig config = rl::default_config();
  config.run.device = "cpu";
  config.run.log_every = 1;
  config.task.options.set("k_max", 2);
  config.task.options.set("align_to", 2);
  config.model.layers = 2;
  config.model.hidden_size = 32;
  config.model.heads = 2;
  config.model.max_seq_len = 64;
  config.model.init_std = 0.08;
  config.sft.steps = 30;
  config.sft.batch_size = 16;
  config.rl.steps = 16;
  config.rl.prompts = 4;
  config.rl.group_size = 4;
  config.rl.demonstrations = 8;
  config.rl.student.updates = 1;
  config.rl.student.traces = 8;
  config.rl.eval_every = 5;
  config.eval.problems_per_difficulty = 8;
  config.eval.quick_problems_per_difficulty = 4;
  config.checkpoint.every = 4;
  return config;
}

// The contents of the line files that record no times, by file name.
std::map<std::string, std::string> other_lines(const fs::path& dir) {
  std::map<std::string, std::string> out;
  std::vector<fs::path> files = {dir / "ledger.jsonl"};
  for (const auto& entry : fs::directory_iterator(dir / "traces")) files.push_back(entry.path());
  for (const fs::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    out[path.filename()] = {std::istreambuf_iterator<char>(file), {}};
  }
  return out;
}

torch::Tensor final_weights(const fs::path& dir) {
  std::vector<torch::Tensor> all;
  const auto loaded = checkpoints::load_latest(dir / "checkpoints");
  for (const auto& [name, shard] : loaded->state.tensors) all.push_back(shard.data.flatten().to(torch::kFloat64));
  return torch::cat(all);
}

TEST(Run, StoppedAndRunAgainContinuesBitForBit) {
  const terse::support::TemporaryFolder folder;
  const configs::RunConfig config = tiny_run();
  const fs::path whole = folder.path() / "whole", parts = folder.path() / "parts";
  fs::create_directories(whole);
  fs::create_directories(parts);
  run_alone(config, whole);
  // A signal stops the run in every step of every stage, and once in the evaluation after each stage.
  int starts = 0;
  for (bool done = false; !done; ++starts) {
    ASSERT_LT(starts, 60);
    done = run_until({"sft", "update"}, config, parts);
    if (starts == 29 || starts == 45) {
      EXPECT_FALSE(run_until({"eval"}, config, parts));
    }
  }
  EXPECT_GT(starts, 40);
  EXPECT_EQ(records_of(whole), records_of(parts));
  EXPECT_EQ(other_lines(whole), other_lines(parts));
  EXPECT_TRUE(torch::equal(final_weights(whole), final_weights(parts)));
}

// A stop while the first rollouts of a run are generated has nothing to save, and the run begins again.
TEST(Run, StoppedInItsFirstRolloutsBeginsAgain) {
  const terse::support::TemporaryFolder folder;
  configs::RunConfig config = tiny_run();
  config.stages = {"rl"};
  config.rl.steps = 2;
  const fs::path whole = folder.path() / "whole", parts = folder.path() / "parts";
  fs::create_directories(whole);
  fs::create_directories(parts);
  run_alone(config, whole);
  EXPECT_FALSE(run_until({"rollout"}, config, parts));
  EXPECT_FALSE(checkpoints::load_latest(parts / "checkpoints"));
  EXPECT_TRUE(run_until({}, config, parts));
  EXPECT_EQ(records_of(whole), records_of(parts));
  EXPECT_TRUE(torch::equal(final_weights(whole), final_weights(parts)));
}

// The name of a metric as docs/metrics.md writes it.
std::string documented(const std::string& name) {
  if (name.starts_with("eval/pass_at_")) return "eval/pass_at_K";
  const size_t slash = name.rfind('/');
  if (slash == std::string::npos) return name;
  if (name.substr(slash).starts_with("/difficulty_")) return name.substr(0, slash) + "/difficulty_K";
  const std::string section = name.substr(0, slash);
  return section == "forms" || section == "reward" || section == "eval/forms" ? section + "/NAME" : name;
}

TEST(Run, EveryMetricOfARunIsInTheDocuments) {
  const terse::support::TemporaryFolder folder;
  configs::RunConfig config = tiny_run();
  config.sft.steps = 2;
  config.rl.steps = 2;
  run_alone(config, folder.path());
  const std::string documents = support::read_file(std::string(TERSE_SOURCE_DIR) + "/docs/metrics.md");
  std::set<std::string> names;
  for (const nlohmann::json& record : support::json_lines(folder.path() / "metrics.jsonl"))
    for (const auto& [name, value] : record.items()) names.insert(documented(name));
  for (const char* key : {"time", "stage", "step", "nonfinite"}) names.erase(key);
  EXPECT_GT(names.size(), 30u);
  for (const std::string& name : names) {
    // Most rows name the number over all difficulties and mention the suffix.
    const std::string plain = name.substr(0, name.find("/difficulty_K"));
    EXPECT_TRUE(documents.find("`" + name + "`") != std::string::npos ||
                documents.find("`" + plain + "`") != std::string::npos)
        << "docs/metrics.md has no row for " << name;
  }
}

// The phases of the steps are parts of the time of the run, one after the other, and none takes no time.
TEST(Run, TheTimesOfItsPhasesDoNotOverlap) {
  const terse::support::TemporaryFolder folder;
  configs::RunConfig config = tiny_run();
  config.stages = {"rl"};
  config.rl.eval_every = 0;
  config.eval.problems_per_difficulty = config.eval.samples = 1;
  config.checkpoint.every = 0;
  const auto start = std::chrono::steady_clock::now();
  run_alone(config, folder.path());
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double sum = 0;
  for (const nlohmann::json& record : support::json_lines(folder.path() / "metrics.jsonl")) {
    if (!record.contains("time/rollout")) continue;
    for (const char* phase : {"time/rollout", "time/train", "time/student"}) {
      EXPECT_GT(record.at(phase), 0) << phase;
      sum += record.at(phase).get<double>();
    }
  }
  EXPECT_GT(sum, 0);
  EXPECT_LE(sum, wall);
}

TEST(Run, AKilledRunLosesNothingButTime) {
  const terse::support::TemporaryFolder folder;
  const configs::RunConfig config = tiny_run();
  const fs::path whole = folder.path() / "whole", killed = folder.path() / "killed";
  fs::create_directories(whole);
  run_alone(config, whole);
  // A killed run leaves an older checkpoint, and line files with more lines than this checkpoint has recorded.
  fs::copy(whole, killed, fs::copy_options::recursive);
  const auto all = checkpoints::list_checkpoints(killed / "checkpoints");
  ASSERT_GE(all.size(), 2u);
  fs::remove_all(all.front());
  for (const char* file : {"metrics.jsonl", "ledger.jsonl", "traces/rl.jsonl", "traces/sft.jsonl"})
    std::ofstream(killed / file, std::ios::app) << "{\"stage\":\"rl\"}\n{\"stage\":\"rl\",\"st";
  run_alone(config, killed);
  EXPECT_EQ(records_of(whole), records_of(killed));
  EXPECT_EQ(other_lines(whole), other_lines(killed));
  EXPECT_TRUE(torch::equal(final_weights(whole), final_weights(killed)));
}

// The evaluation after a stage writes traces that no checkpoint has recorded yet.
TEST(Run, AnEvaluationThatWasKilledLeavesNoTraceTwice) {
  const terse::support::TemporaryFolder folder;
  configs::RunConfig config = tiny_run();
  config.stages = {"sft", "eval"};
  const fs::path whole = folder.path() / "whole", killed = folder.path() / "killed";
  fs::create_directories(whole);
  run_alone(config, whole);
  const std::string traces = other_lines(whole).at("sft.jsonl");
  ASSERT_FALSE(traces.empty());
  fs::copy(whole, killed, fs::copy_options::recursive);
  // Removes the checkpoints that were saved after the evaluation of fine-tuning. The newest one left is older than it.
  while (true) {
    const auto all = checkpoints::list_checkpoints(killed / "checkpoints");
    ASSERT_FALSE(all.empty());
    if (checkpoints::load(all.front()).state.extra.at("finished").empty()) break;
    fs::remove_all(all.front());
  }
  run_alone(config, killed);
  EXPECT_EQ(other_lines(killed), other_lines(whole));
  EXPECT_EQ(records_of(killed), records_of(whole));
}

TEST(Run, TracesThatCannotBeWrittenAreOneWarning) {
  const terse::support::TemporaryFolder folder;
  configs::RunConfig config = tiny_run();
  config.stages = {"sft"};
  std::ofstream(folder.path() / "traces") << "a file where the folder should be";
  const nlohmann::json summary = run_alone(config, folder.path());
  EXPECT_EQ(summary["stages"].size(), 1u);
  std::ifstream log(folder.path() / "log.txt");
  const std::string text{std::istreambuf_iterator<char>(log), {}}, warning = "training continues without traces";
  const size_t first = text.find(warning);
  ASSERT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find(warning, first + 1), std::string::npos) << text;
}

TEST(Run, IsFinishedOnlyWhenItsLastCheckpointIsWritten) {
  const terse::support::TemporaryFolder folder;
  configs::RunConfig config = tiny_run();
  config.stages = {"sft"};
  config.checkpoint.every = 0;
  const fs::path in_the_way = folder.path() / "checkpoints" / "latest";
  fs::create_directories(in_the_way / "not a file");
  EXPECT_THROW(run_alone(config, folder.path()), DiskError);
  EXPECT_FALSE(fs::exists(folder.path() / "summary.json"));
  fs::remove_all(in_the_way);
  run_alone(config, folder.path());
  EXPECT_TRUE(fs::exists(folder.path() / "summary.json"));
}

TEST(Run, SamplerAndLearnerAgreeOnEveryStep) {
  const terse::support::TemporaryFolder folder;
  run_alone(tiny_run(), folder.path());
  int steps = 0, compared = 0;
  for (const nlohmann::json& record : records_of(folder.path())) {
    if (!record.contains("frac_reward_zero_std")) continue;
    ++steps;
    // A step in which no group had a learning signal trains on no token and has nothing to compare.
    EXPECT_EQ(record.contains("sampling/logp_diff/max"), record["frac_reward_zero_std"] != 1.0);
    if (!record.contains("sampling/logp_diff/max")) continue;
    EXPECT_EQ(record["sampling/logp_diff/max"], 0.0);
    ++compared;
  }
  EXPECT_EQ(steps, 16);
  EXPECT_GT(compared, 5);
}

// Fails when the model stops learning. The thresholds lie far from chance (1/7) and from what a sound run reaches.
TEST(Run, LearnsTheTaskAndShortensItsThoughts) {
  const terse::support::TemporaryFolder folder;
  configs::RunConfig config = tiny_run();
  config.run.log_every = 50;
  config.task.options.set("k_min", 2);  // the 78 training problems of one operation are too few to generalise from
  config.task.options.set("k_max", 3);
  config.task.options.set("align_to", 3);
  config.model.hidden_size = 48;
  config.model.heads = 3;
  config.sft.steps = 800;
  config.sft.batch_size = 32;
  config.sft.optimizer.lr = 4e-3;
  config.sft.optimizer.weight_decay = 0.01;
  config.sft.optimizer.schedule = "linear";
  config.rl.steps = 100;
  config.rl.penalty.kind = "truncation";
  config.rl.penalty.limit = 12;
  config.rl.prompts = 12;
  config.rl.group_size = 8;
  config.rl.optimizer.lr = 5e-4;
  config.rl.optimizer.weight_decay = 0;
  config.rl.eval_every = 0;
  config.eval.problems_per_difficulty = 50;
  config.checkpoint.every = 0;
  const nlohmann::json summary = run_alone(config, folder.path());
  const nlohmann::json &before = summary["stages"][0]["eval"], &after = summary["stages"][1]["eval"];
  EXPECT_GT(before["accuracy"].get<double>(), 0.5);
  EXPECT_GT(after["accuracy"].get<double>(), 0.85);
  EXPECT_LT(after["mean_tokens"].get<double>(), 0.7 * before["mean_tokens"].get<double>());
}

}  // namespace
}  // namespace terse::launch
