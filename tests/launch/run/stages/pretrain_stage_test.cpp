// Tests the metrics of whole pretraining runs on texts that make them easy to get wrong.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "launch/run/stages/run_stages.h"
#include "rl/tasks/task.h"
#include "tests/support/temporary_folder.h"

namespace terse::launch {
namespace {

class PretrainMetrics : public ::testing::Test {
 protected:
  PretrainMetrics() {
    config.stages = {"pretrain"};
    config.run.device = "cpu";
    config.run.log_every = 1;
    config.tokenizer.kind = "char";
    config.data.train = (folder.path() / "text.txt").string();
    config.model.layers = 1;
    config.model.hidden_size = 16;
    config.model.heads = 2;
    config.model.max_seq_len = 16;
    config.pretrain.steps = 2;
    config.pretrain.batch_size = 4;
    config.pretrain.eval_batches = 1000;
  }
  // Runs pretraining on this text and returns its summary; `records` then has its metrics.
  nlohmann::json run_on(const std::string& text) {
    std::ofstream(config.data.train) << text;
    const auto world = trainer::World::start({});
    nlohmann::json summary = run_stages({config, folder.path(), "test", world.get(), nullptr});
    std::ifstream file(folder.path() / "metrics.jsonl");
    for (std::string line; std::getline(file, line);) records.push_back(nlohmann::json::parse(line));
    return summary;
  }

  const support::TemporaryFolder folder;
  configs::RunConfig config = rl::default_config();
  std::vector<nlohmann::json> records;
};

// Nine tenths of the text are ASCII. The last tenth, which is held out for validation, has two bytes per character.
TEST_F(PretrainMetrics, BitsPerByteAreOverTheBytesThatTheLossIsOver) {
  std::string text;
  for (int i = 0; i < 900; ++i) text += static_cast<char>('a' + i * i % 7);
  for (int i = 0; i < 100; ++i) text += i % 3 == 0 ? "\xD0\xB0" : "\xD0\xB1";
  const nlohmann::json summary = run_on(text);
  const nlohmann::json& last = records.back();
  const double loss = last.at("val_loss");
  EXPECT_EQ(summary["stages"][0]["val_loss"], loss);
  EXPECT_NEAR(last.at("bits_per_byte").get<double>(), loss / std::log(2.0) / 2, 1e-12);
}

// Documents of one token have no token to predict. The loss is then missing instead of 0.
TEST_F(PretrainMetrics, WithoutATokenToPredictThereIsNoLoss) {
  config.data.separator = "|";
  std::string text;
  for (int i = 0; i < 200; ++i) text += i % 2 == 0 ? "a|" : "b|";
  const nlohmann::json summary = run_on(text);
  ASSERT_FALSE(records.empty());
  for (const nlohmann::json& record : records) {
    for (const char* name : {"loss", "val_loss", "bits_per_byte"}) EXPECT_FALSE(record.contains(name)) << record;
    EXPECT_EQ(record.at("grad_norm"), 0.0);
  }
  EXPECT_TRUE(summary["stages"][0]["val_loss"].is_null()) << summary;
}

}  // namespace
}  // namespace terse::launch
