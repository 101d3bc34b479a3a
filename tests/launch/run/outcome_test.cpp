// Tests the lines about the end of a run, also for summaries that lack fields or hold nonsense.
#include "launch/run/outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace terse::launch {
namespace {

using nlohmann::json;

json stage(const char* name, int64_t steps) {
  return {{"stage", name}, {"steps", steps}, {"wall_s", 1.0}, {"tokens", 5}};
}

TEST(Outcome, ComparesTheFirstAndTheLastEvaluation) {
  json sft = stage("sft", 1500), rl = stage("rl", 300);
  sft["eval"] = {{"task", "chain7"}, {"accuracy", 0.998}, {"mean_tokens", 30.14}};
  rl["eval"] = {{"task", "chain7"}, {"accuracy", 0.9994}, {"mean_tokens", 7.24}};
  EXPECT_EQ(outcome({{"wall_s", 252.0}, {"stages", {sft, rl}}}),
            "done in 4 min 12 s: sft 1,500 steps, rl 300 steps\n"
            "chain7: accuracy 0.998 -> 0.999, mean tokens 30.1 -> 7.2\n");
}

TEST(Outcome, PretrainingTellsItsValidationLoss) {
  json pretrain = stage("pretrain", 2000);
  pretrain["val_loss"] = 1.789;
  EXPECT_EQ(outcome({{"wall_s", 61}, {"stages", {pretrain}}}),
            "done in 1 min 01 s: pretrain 2,000 steps\nvalidation loss 1.789\n");
}

TEST(Outcome, OneEvaluationIsStatedAlone) {
  json only = stage("eval", 0);
  only["eval"] = {{"task", "chain7"}, {"accuracy", 0.5}, {"mean_tokens", 3}};
  EXPECT_THAT(outcome({{"wall_s", 2}, {"stages", {only}}}),
              ::testing::HasSubstr("chain7: accuracy 0.500, mean tokens 3.0\n"));
}

TEST(Outcome, AMeanOverNothingIsNotTold) {
  json pretrain = stage("pretrain", 20), only = stage("eval", 0);
  pretrain["val_loss"] = nullptr;
  only["eval"] = {{"task", "chain7"}, {"accuracy", nullptr}, {"mean_tokens", nullptr}};
  EXPECT_EQ(outcome({{"wall_s", 2}, {"stages", {pretrain, only}}}), "done in 2.0 s: pretrain 20 steps, eval\n");
}

TEST(Outcome, StrangeSummariesDoNotThrow) {
  for (const json& summary :
       {json(), json(3), json::array(), json{{"stages", 3}}, json{{"stages", {{{"stage", 3}}}}, {"wall_s", "x"}}})
    EXPECT_NO_THROW(outcome(summary)) << summary;
}

}  // namespace
}  // namespace terse::launch
