// Tests fine-tuning on conversations: what is learned, the validation loss, runs without a task, and resumption.
#include "launch/run/stages/sft_stage.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/errors.h"
#include "tests/support/stopping_world.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr const char* kTiny = R"(
stages: [sft]
run: {device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 64, init_std: 0.2}
sft: {steps: 6, batch_size: 4, eval_every: 2, val_fraction: 0.3}
eval: {problems_per_difficulty: 2, samples: 1, quick_problems_per_difficulty: 1}
engine: {max_new_tokens: 4}
checkpoint: {every: 1, keep: 100}
)";

std::string line(const std::string& prompt, const std::string& completion) {
  return Json{{"messages", {{{"role", "user"}, {"content", prompt}}, {{"role", "assistant"}, {"content", completion}}}}}
             .dump() +
         "\n";
}

// Conversations of many lengths.
std::string chats(int count) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all += line(std::string(static_cast<size_t>(i % 9 + 1), 'a') + std::to_string(i), "b");
  return all;
}

class SftStage : public ::testing::Test {
 protected:
  configs::RunConfig config(const std::string& train, std::vector<std::string> settings = {}) const {
    settings.push_back("sft.train=" + folder.write("chats.jsonl", train).string());
    return support::config_of(kTiny, settings);
  }
  Json run(const configs::RunConfig& config, const std::string& name = "run") const {
    fs::create_directories(folder / name);
    return support::run_alone(config, folder / name);
  }
  std::vector<Json> records(const std::string& name = "run") const { return support::records_of(folder / name); }
  std::vector<double> values(const std::string& metric) const {
    std::vector<double> all;
    for (const Json& record : records())
      if (record.contains(metric)) all.push_back(record.at(metric));
    return all;
  }

  const support::TemporaryFolder folder;
};

TEST_F(SftStage, OnConversationsNeedsNoTask) {
  const Json summary = run(config(chats(20)));
  const Json& stage = summary.at("stages").at(0);
  EXPECT_EQ(stage.at("steps"), 6);
  EXPECT_FALSE(stage.contains("eval"));
  EXPECT_EQ(values("val_loss").size(), 3u) << "at steps 2, 4 and 6";
  EXPECT_EQ(stage.at("val_loss"), values("val_loss").back());
  EXPECT_TRUE(fs::exists(folder / "run/tokenizer.json"));
}

// With weights near 0, all 258 tokens are equally likely.
TEST_F(SftStage, LossesAreMeansOverLearnedTokens) {
  run(config(chats(20), {"model.init_std=1e-6", "sft.optimizer.lr=0"}));
  for (const char* metric : {"loss", "val_loss"})
    for (const double value : values(metric)) EXPECT_NEAR(value, std::log(258.0), 1e-4) << metric;
}

// Each answer has as many learned tokens as it has bytes, and <eos>.
TEST_F(SftStage, TheValidationLossWeighsEachLearnedTokenTheSame) {
  const auto loss = [&](const std::string& val) {
    const support::TemporaryFolder other;
    configs::RunConfig fixed = config(chats(5), {"sft.optimizer.lr=0", "sft.batch_size=2", "sft.steps=1"});
    fixed.sft.val = other.write("val.jsonl", val);
    return support::run_alone(fixed, other.path()).at("stages").at(0).at("val_loss").get<double>();
  };
  const std::string a = line("question", "x"), b = line("other", "a longer answer"), c = line("c", "d");
  const double expected = (2 * loss(a) + 16 * loss(b) + 2 * loss(c)) / 20;
  EXPECT_NEAR(loss(a + b + c), expected, 1e-5);
  EXPECT_NE(loss(a), loss(b));
}

// The prompts are random, so only the answers can be learned.
TEST_F(SftStage, LearnsTheAnswersAlone) {
  run(config(chats(40), {"sft.steps=80", "sft.optimizer.lr=0.02", "checkpoint.every=0"}));
  EXPECT_GT(values("val_loss").front(), 1);
  EXPECT_LT(values("val_loss").back(), 0.05);
}

TEST_F(SftStage, StoppedAtEveryStepItContinuesBitForBit) {
  const configs::RunConfig c = config(chats(20));
  run(c, "whole");
  fs::create_directories(folder / "parts");
  int starts = 0;
  while (!support::run_until({"sft"}, c, folder / "parts")) ASSERT_LT(++starts, 20);
  EXPECT_GE(starts, 6);
  EXPECT_EQ(records("whole"), records("parts"));
  const auto whole = checkpoints::load_latest(folder / "whole/checkpoints");
  const auto parts = checkpoints::load_latest(folder / "parts/checkpoints");
  EXPECT_TRUE(support::same_tensors(whole->state, parts->state));
}

TEST_F(SftStage, ContinuesWithoutItsFileButNotWithAnother) {
  const configs::RunConfig c = config(chats(20));
  run(c, "whole");
  fs::create_directories(folder / "parts");
  ASSERT_FALSE(support::run_until({"sft"}, c, folder / "parts"));
  folder.write("chats.jsonl", chats(21));
  try {
    run(c, "parts");
    ADD_FAILURE() << "the file has changed";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("sft.train"));
  }
  fs::remove(folder / "chats.jsonl");
  run(c, "parts");
  EXPECT_EQ(records("whole"), records("parts"));
}

TEST_F(SftStage, MicroBatchesChangeNothing) {
  run(config(chats(20)), "whole");
  run(config(chats(20), {"sft.micro_batch=1"}), "parts");
  EXPECT_EQ(records("whole"), records("parts"));
}

TEST_F(SftStage, ATaskBesideConversationsIsEvaluated) {
  const std::string sample = TERSE_SOURCE_DIR "/tests/rl/tasks/samples/gsm8k.jsonl";
  const Json summary = run(config(chats(20), {"stages=[sft, eval]", "task.name=gsm8k", "task.path=" + sample,
                                              "task.eval_path=" + sample, "model.max_seq_len=512"}));
  EXPECT_TRUE(summary.at("stages").at(0).contains("eval"));
  EXPECT_TRUE(summary.at("stages").at(0).contains("val_loss"));
  EXPECT_EQ(values("val_loss").size(), 3u);
  EXPECT_GE(values("eval/accuracy").size(), 3u);
}

TEST_F(SftStage, NotesOfTheDataAreLogged) {
  run(config(chats(20) + line(std::string(100, 'a'), "b") + "nonsense\n", {"data.max_bad_lines=0.1"}));
  const std::string log = support::read_file(folder / "run/log.txt");
  EXPECT_THAT(log, HasSubstr("1 of 22 lines"));
  EXPECT_THAT(log, HasSubstr("longer than model.max_seq_len"));
  EXPECT_THAT(support::read_file(folder / "run/data/bad_lines.jsonl"), HasSubstr("\"line\":22"));
}

}  // namespace
}  // namespace terse::launch
