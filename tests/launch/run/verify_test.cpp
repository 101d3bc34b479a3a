// A sound folder passes, and every single kind of damage is named.
#include "launch/run/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "checkpoints/store.h"
#include "configs/load.h"
#include "launch/run/run_dir.h"
#include "launch/run/run_lock.h"
#include "launch/run/second_look.h"
#include "rl/tasks/task.h"
#include "tests/launch/program.h"

namespace terse::launch {
namespace {

using ::testing::HasSubstr;
using Kind = Finding::Kind;

class Verify : public ::testing::Test {
 protected:
  void SetUp() override {
    configs::RunConfig config = rl::default_config();
    config.run.dir = (folder_ / "run").string();
    config.sft.steps = config.rl.steps = 2;
    config.stages = {"sft", "rl"};
    RunDir(config).record(config, {"terse"});
    write("metrics.jsonl", metrics());
    write("ledger.jsonl", ledger());
    std::filesystem::create_directory(folder_ / "run/traces");
    write("traces/rl.jsonl", "{\"step\": 1}\n{\"step\": 2}\n");
    write("summary.json", summary());
    checkpoints::Store store(folder_ / "run/checkpoints", /*keep=*/2, /*async=*/false);
    for (const int64_t step : {1, 2}) {
      checkpoints::StateDict state;
      state.add("w", torch::full({16}, static_cast<double>(step)));
      const auto end = [&](const char* name) { return std::filesystem::file_size(folder_ / "run" / name); };
      const nlohmann::json files = {{"metrics.jsonl", end("metrics.jsonl")}, {"ledger.jsonl", end("ledger.jsonl")}};
      state.extra = {{"step", step}, {"metrics", {{"files", files}, {"global_step", step}}}};
      store.save({step, "sft", "hash", 0.5}, state);
    }
  }
  void write(const std::string& name, const std::string& text) const { folder_.write("run/" + name, text); }
  static std::string metrics() {
    return R"({"time": 1.5, "stage": "sft", "step": 1, "loss": 2.0}
{"time": 2.5, "stage": "sft", "step": 2, "loss": 1.0}
{"time": 2.6, "stage": "sft", "step": 2, "accuracy": 1.0}
{"time": 3.5, "stage": "rl", "step": 1, "loss": null}
)";
  }
  static std::string ledger() {
    return R"({"step": 1, "trained": [10, 12], "unused": [11], "outstanding": [13, 14], "handed_out": 5}
{"step": 2, "trained": [14], "unused": [], "outstanding": [13, 15], "handed_out": 6}
)";
  }
  static std::string summary() {
    return R"({"run": "run", "commit": "x", "wall_s": 2.0, "stages": [
      {"stage": "sft", "steps": 2, "wall_s": 1.0, "tokens": 10, "eval": {"accuracy": 0.5, "mean_tokens": 3.5,
       "by_difficulty": {"1": {"n": 4, "accuracy": 0.5, "mean_tokens": 3.5}}}},
      {"stage": "rl", "steps": 2, "wall_s": 1.0, "tokens": 10}]})";
  }
  std::string defects() const {
    std::string text;
    for (const Finding& finding : verify_run(folder_ / "run"))
      if (finding.kind == Kind::kDefect) text += finding.subject + ": " + finding.detail + "\n";
    return text;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(Verify, SoundRunHasNoDefectAndEveryPartIsListed) {
  EXPECT_EQ(defects(), "");
  const testing::Result result = testing::terse({"verify", (folder_ / "run").string()});
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  for (const char* part : {"config.yaml", "environment.json", "metrics.jsonl", "ledger.jsonl", "summary.json",
                           "traces/rl.jsonl", "step-1", "step-2"})
    EXPECT_THAT(result.out, HasSubstr(part));
}

TEST_F(Verify, FlippedBitInACheckpointIsExitCode65AndNamed) {
  const auto checkpoint = folder_ / "run/checkpoints/step-2";
  const auto file = std::find_if(std::filesystem::directory_iterator(checkpoint), std::filesystem::directory_iterator(),
                                 [](const auto& entry) { return entry.path().extension() == ".h5"; })
                        ->path();
  std::string bytes = testing::read_file(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  folder_.write("run/checkpoints/step-2/" + file.filename().string(), bytes);
  EXPECT_THAT(defects(), HasSubstr(file.filename().string()));
  for (const auto& target : {folder_ / "run", checkpoint}) {
    const testing::Result result = testing::terse({"verify", target.string()});
    EXPECT_EQ(result.code, 65);
    EXPECT_THAT(result.out, HasSubstr("DEFECT"));
    EXPECT_THAT(result.err, HasSubstr("1 defect"));
  }
  EXPECT_EQ(testing::terse({"verify", (folder_ / "run/checkpoints/step-1").string()}).code, 0);
}

TEST_F(Verify, LinesThatTheNewestCheckpointCountsOnAreMissed) {
  const std::string whole = metrics();
  write("metrics.jsonl", whole.substr(0, whole.find('\n') + 1));
  EXPECT_THAT(defects(), ::testing::AllOf(HasSubstr("metrics.jsonl: ends at byte 54, but step-2"),
                                          HasSubstr(fmt::format("at byte {}: lines are missing", whole.size()))));
  write("metrics.jsonl", whole + whole.substr(0, 9));
  EXPECT_EQ(defects(), "") << "lines after the checkpoint are cut off when the run goes on";
  std::filesystem::remove(folder_ / "run/ledger.jsonl");
  EXPECT_THAT(defects(), HasSubstr("ledger.jsonl: ends at byte 0"));
}

TEST_F(Verify, ACheckpointOfSeveralRanksIsCheckedWhole) {
  const auto save = [&](int rank) {
    checkpoints::Store store(folder_ / "run/checkpoints", {.rank = rank, .ranks = 2, .token = "t"});
    checkpoints::StateDict state;
    state.tensors["w"] = {torch::full({8}, 3.0), {16}, 8 * rank, 8 * rank + 8};
    store.save({3, "sft", "hash", 0.5}, state);
    store.wait();
  };
  std::thread second(save, 1);
  save(0);
  second.join();
  EXPECT_EQ(defects(), "");
  EXPECT_THAT(testing::terse({"verify", (folder_ / "run").string()}).out, HasSubstr("in 3 files of 2 ranks"));
  std::filesystem::remove(folder_ / "run/checkpoints/step-3/rank-1.h5");
  EXPECT_THAT(defects(), HasSubstr("checkpoints/step-3: rank-1.h5: it is missing"));
}

TEST_F(Verify, MetricsThatGoBackOrDoNotParse) {
  write("metrics.jsonl", metrics() + "{\"time\": 4, \"stage\": \"rl\", \"step\": 0}\n");
  EXPECT_THAT(defects(), HasSubstr("metrics.jsonl: line 5: step 0 of stage rl follows step 1"));
  write("metrics.jsonl", metrics() + "{\"time\": 4, \"stage\": \"sft\", \"step\": 3}\n");
  EXPECT_THAT(defects(), HasSubstr("line 5: stage sft occurs again after stage rl"));
  write("metrics.jsonl", "garbage\n" + metrics());
  EXPECT_THAT(defects(), HasSubstr("line 1"));
  write("metrics.jsonl", metrics() + "{\"time\": 4, \"step\": 3}\n");
  EXPECT_THAT(defects(), HasSubstr("\"stage\""));
  write("metrics.jsonl", metrics() + "{\"time\": 4, \"stage\": 4, \"step\": 3}\n");
  EXPECT_THAT(defects(), HasSubstr("wrong type"));
}

TEST_F(Verify, ProblemsThatAreLostOrUsedTwice) {
  const auto third = [&](const std::string& rest) {
    write("ledger.jsonl", ledger() + "{\"step\": 3, " + rest + "}\n");
  };
  third(R"("trained": [14], "unused": [], "outstanding": [13, 15], "handed_out": 6)");
  EXPECT_THAT(defects(), HasSubstr("ledger.jsonl: line 3: the group of problem 14 was used twice"));
  third(R"("trained": [13], "unused": [15], "outstanding": [12, 16], "handed_out": 7)");
  EXPECT_THAT(defects(), HasSubstr("problem 12 is outstanding although it was used before"));
  third(R"("trained": [13], "unused": [], "outstanding": [16], "handed_out": 7)");
  EXPECT_THAT(defects(), HasSubstr("7 problems were handed out, but 6 are accounted for: 1 are lost"));
  third(R"("trained": [13], "unused": [], "outstanding": [16], "handed_out": 6)");
  EXPECT_THAT(defects(), HasSubstr("6 problems were handed out"));  // 15 is missing, 16 was never handed out
  write("ledger.jsonl", ledger() + ledger());
  EXPECT_THAT(defects(), HasSubstr("step 1 follows step 2"));
  third(R"("trained": 13)");
  EXPECT_THAT(defects(), HasSubstr("ledger.jsonl: line 3: "));
}

TEST_F(Verify, LineThatAKillCutShortIsANoteOnly) {
  write("metrics.jsonl", metrics() + "{\"time\": 4, \"sta");
  EXPECT_EQ(defects(), "");
}

TEST_F(Verify, ImpossibleSummaries) {
  const auto with = [](std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  };
  write("summary.json", with(summary(), "\"accuracy\": 0.5", "\"accuracy\": 1.5"));
  EXPECT_THAT(defects(), HasSubstr("summary.json: stage sft: accuracy 1.5"));
  write("summary.json", with(summary(), "\"stage\": \"rl\"", "\"stage\": \"pretrain\""));
  EXPECT_THAT(defects(), HasSubstr("differ from those of config.yaml"));
  write("summary.json", with(summary(), "\"run\": \"run\"", "\"run\": \"other\""));
  EXPECT_THAT(defects(), HasSubstr("other"));
  write("summary.json", with(summary(), "\"steps\": 2", "\"steps\": \"two\""));
  EXPECT_THAT(defects(), HasSubstr("summary.json"));
  write("summary.json", "{");
  EXPECT_THAT(defects(), HasSubstr("not a JSON object"));
}

TEST_F(Verify, WhatIsWholeWhenLookedAtAgainIsNoDefectOfALiveRun) {
  int looks = 0;
  const auto wrong_for = [&](int times) {
    looks = 0;
    return [&looks, times]() -> std::vector<Finding> {
      return {{++looks > times ? Kind::kSound : Kind::kDefect, "metrics.jsonl", ""}};
    };
  };
  EXPECT_EQ(SecondLook(folder_ / "run").at(wrong_for(1)).front().kind, Kind::kDefect) << "a run at rest has no excuse";
  EXPECT_EQ(looks, 1);
  std::optional<RunLock> training(folder_ / "run");
  const SecondLook look(folder_ / "run");
  EXPECT_EQ(look.at(wrong_for(0)).front().kind, Kind::kSound);
  EXPECT_EQ(looks, 1);
  EXPECT_EQ(look.at(wrong_for(3)).front().kind, Kind::kSound);
  EXPECT_EQ(looks, 4);
  EXPECT_EQ(look.at(wrong_for(1000)).front().kind, Kind::kDefect);
  training.reset();
  EXPECT_EQ(look.at(wrong_for(3)).front().kind, Kind::kSound) << "it trained when this began";
}

TEST_F(Verify, ACheckpointThatIsGoneIsNoDefectOfALiveRun) {
  const auto gone = folder_ / "run/checkpoints/step-7";
  EXPECT_EQ(verify_checkpoint(gone).front().kind, Kind::kDefect);
  const RunLock training(folder_ / "run");
  const std::vector<Finding> findings = verify_checkpoint(gone);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings.front().kind, Kind::kNote);
}

TEST_F(Verify, ALiveRunHasNoExcuseForWhatStaysWrong) {
  const RunLock training(folder_ / "run");
  write("traces/rl.jsonl", "{\"st\n");
  std::filesystem::remove(folder_ / "run/checkpoints/step-2/rank-0.h5");
  EXPECT_THAT(defects(), ::testing::AllOf(HasSubstr("traces/rl.jsonl"), HasSubstr("checkpoints/step-2")));
}

// Another process saves and prunes as fast as it can. Without repeated checks, verify would report damage again and
// again for a checkpoint that is being removed.
TEST_F(Verify, CheckpointsThatALiveRunRemovesMeanwhileAreNoDefect) {
  const RunLock training(folder_ / "run");
  checkpoints::StateDict state;
  for (int i = 0; i < 50; ++i) state.add("w" + std::to_string(i), torch::full({1000}, 1.0));
  state.extra = {{"step", 0}};
  const pid_t trainer = fork();
  if (trainer == 0) {
    try {
      checkpoints::Store store(folder_ / "run/checkpoints", /*keep=*/2, /*async=*/false);
      for (int64_t step = 3;; ++step) store.save({step, "sft", "hash", 0.5}, state);
    } catch (...) {
      _exit(1);
    }
  }
  for (int i = 0; i < 60; ++i) EXPECT_EQ(defects(), "");
  EXPECT_EQ(kill(trainer, SIGKILL), 0);
  int status = 0;
  waitpid(trainer, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "it saved to the end";
}

TEST_F(Verify, DamagedTokensAndTokenizer) {
  write("tokenizer.json", "{}");
  EXPECT_THAT(defects(), HasSubstr("tokenizer.json"));
  std::filesystem::remove(folder_ / "run/tokenizer.json");
  std::filesystem::create_directory(folder_ / "run/data");
  write("data/sources.json", R"({"data.train": {"file": "a.txt", "sha256": "0", "store": "tokens-1.h5"}})");
  EXPECT_EQ(defects(), "") << "a store that is gone is made again";
  write("data/tokens-1.h5", "not a store");
  EXPECT_THAT(defects(), HasSubstr("data/tokens-1.h5"));
  write("data/sources.json", "[");
  EXPECT_THAT(defects(), HasSubstr("data/sources.json"));
}

TEST_F(Verify, BrokenConfigurationOrEnvironment) {
  write("config.yaml", "modle: 3\n");
  EXPECT_THAT(defects(), HasSubstr("config.yaml"));
  write("environment.json", "[]");
  EXPECT_THAT(defects(), HasSubstr("environment.json"));
}

TEST_F(Verify, YoungRunLacksThingsWithoutDefect) {
  for (const char* name : {"metrics.jsonl", "summary.json", "traces", "checkpoints"})
    std::filesystem::remove_all(folder_ / "run" / name);
  EXPECT_EQ(defects(), "");
}

}  // namespace
}  // namespace terse::launch
