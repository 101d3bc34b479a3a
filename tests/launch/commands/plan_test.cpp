// Tests terse plan: the answer comes first, the tables add up, and mistakes are reported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class PlanCommand : public ::testing::Test {
 protected:
  Result plan(const std::vector<std::string>& more = {}, const std::string& config = tiny_config()) {
    folder_.write("a.yaml", config);
    std::vector<std::string> arguments = {"plan", "a.yaml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return terse(arguments, {.folder = folder_.path()});
  }
  TemporaryFolder folder_;
};

TEST_F(PlanCommand, AnswersFirst) {
  const Result result = plan({"--ranks", "16", "--gpus-per-node", "8"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const char* part : {"a.yaml: ", "parameters, fp32, on h100", "16 ranks on 2 nodes, ZeRO-1", "sft: fits, ",
                           "rl: fits, ", "a step, ", "waits for the network", "memory of one GPU", "AdamW moments",
                           "keys and values", "time of one step", "generating", "sent to other nodes"})
    EXPECT_THAT(result.out, HasSubstr(part));
  EXPECT_LT(result.out.find("fits"), result.out.find("memory of one GPU"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
}

TEST_F(PlanCommand, JsonAddsUp) {
  const Result result = plan({"--ranks", "4", "--hardware", "laptop", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json.at("ranks"), 4);
  EXPECT_EQ(json.at("ranks_per_node"), 2);
  EXPECT_TRUE(json.at("fits"));
  ASSERT_EQ(json.at("stages").size(), 2u);
  for (const auto& stage : json.at("stages")) {
    double bytes = 0, seconds = 0;
    for (const auto& consumer : stage.at("memory")) bytes += consumer.get<double>();
    for (const auto& part : stage.at("time")) seconds += part.get<double>();
    EXPECT_DOUBLE_EQ(bytes, stage.at("bytes"));
    EXPECT_DOUBLE_EQ(seconds, stage.at("seconds"));
  }
}

TEST_F(PlanCommand, RanksThatOnlyGenerateArePlannedApart) {
  const Result result = plan({"--ranks", "8", "--hardware", "laptop", "--set", "parallel.layout=split", "--set",
                              "parallel.rollout_ranks=6", "--set", "rl.max_staleness=1"});
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char* part :
       {"8 ranks on 4 nodes, 6 of them only generate, ZeRO-1", "rank that only generates", "of it while others learn"})
    EXPECT_THAT(result.out, HasSubstr(part));
  const Result none = plan({"--ranks", "1", "--set", "parallel.layout=split"});
  EXPECT_THAT(none.err, HasSubstr("there are 1 ranks"));
}

TEST_F(PlanCommand, RunsThatDoNotFitSaySoAndWhatWouldHelp) {
  const Result result = plan({"--hardware", "laptop", "--response-tokens", "4000", "--set", "model.max_seq_len=8192",
                              "--set", "model.layers=12", "--set", "model.hidden_size=512", "--set", "model.heads=8"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("rl: DOES NOT FIT"), HasSubstr("warning: rl does not fit"),
                                HasSubstr("most of it is for ")));
}

TEST_F(PlanCommand, DataNeedNotBeHere) {
  const std::string config = "stages: [pretrain]\ndata: {train: far/away.txt}\npretrain: {steps: 5}\n";
  const Result result = plan({"--vocab", "32000"}, config);
  EXPECT_EQ(result.code, 0) << result.err;
  const Result unknown = plan({"--set", "tokenizer.kind=char"}, config);
  EXPECT_EQ(unknown.code, 64);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("far/away.txt"), HasSubstr("--vocab")));
}

TEST_F(PlanCommand, MistakesAreToldWithTheirPlace) {
  folder_.write("mine.yaml", "device: gpu\n");
  const Result hardware = plan({"--hardware", "mine.yaml"});
  EXPECT_EQ(hardware.code, 78);
  EXPECT_THAT(hardware.err, AllOf(HasSubstr("mine.yaml:1:9"), HasSubstr("network.gbps is missing")));
  EXPECT_EQ(plan({"--ranks", "0"}).code, 64);
  EXPECT_EQ(plan({"--set", "model.hedas=3"}).code, 78);
  EXPECT_EQ(plan({}, "stages: [eval]\n").code, 64);
}

}  // namespace
}  // namespace terse::launch::testing
