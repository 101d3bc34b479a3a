// Tests which rollouts of a training step become traces, and what a trace tells.
#include "rl/rollout/trace_log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace terse::rl {
namespace {

class TraceLogTest : public ::testing::Test {
 protected:
  // A group whose rollouts are right or wrong in this order; each has one token more than the one before it.
  RolloutGroup group(int64_t index, const std::vector<bool>& right) {
    RolloutGroup group{task->problem(Split::kTrain, index), {}};
    for (size_t i = 0; i < right.size(); ++i) {
      Rollout rollout;
      rollout.tokens.assign(i + 1, 1);
      rollout.correct = right[i];
      group.rollouts.push_back(std::move(rollout));
    }
    return group;
  }
  // Problem, tokens and correctness of each line that training() writes.
  std::vector<std::tuple<int64_t, int64_t, bool>> logged(const std::vector<RolloutGroup>& groups) {
    const support::TemporaryFolder folder;
    {
      trainer::MetricLoggerOptions options;
      options.files = {TraceLog::file("rl")};
      trainer::MetricLogger record(folder.path(), options);
      TraceLog(record, *task).training(7, groups);
    }
    std::vector<std::tuple<int64_t, int64_t, bool>> out;
    std::ifstream file(folder.path() / TraceLog::file("rl"));
    for (std::string text; std::getline(file, text);) {
      const nlohmann::json line = nlohmann::json::parse(text);
      EXPECT_EQ(line.at("step"), 7);
      EXPECT_EQ(line.at("logged_for"), "train");
      out.emplace_back(line.at("problem"), line.at("tokens"), line.at("correct"));
    }
    return out;
  }
  std::unique_ptr<TokenizedTask> task = open_task(
      [] {
        configs::Task config = default_config().task;
        config.options.set("k_max", 2);
        config.options.set("align_to", 2);
        return config;
      }(),
      1);
};

using Lines = std::vector<std::tuple<int64_t, int64_t, bool>>;

TEST_F(TraceLogTest, WritesTheFirstRightAndTheFirstWrongOneOfTwoGroups) {
  EXPECT_EQ(logged({group(3, {false, false, true, true}), group(4, {true, false}), group(5, {true, false})}),
            (Lines{{3, 3, true}, {3, 1, false}, {4, 1, true}, {4, 2, false}}));
}

TEST_F(TraceLogTest, LeavesOutWhatAGroupDoesNotHave) {
  EXPECT_EQ(logged({group(3, {false, false}), group(4, {true})}), (Lines{{3, 1, false}, {4, 1, true}}));
  EXPECT_EQ(logged({}), Lines{});
}

}  // namespace
}  // namespace terse::rl
