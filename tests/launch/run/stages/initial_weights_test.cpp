// A run with model.init begins with the weights of another one, and with nothing else of it. Weights of another model
// are refused.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "configs/load.h"
#include "tests/checkpoints/support.h"
#include "tests/support/tiny_run.h"

namespace terse::rl {
namespace {

namespace fs = std::filesystem;
using checkpoints::StateDict;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kConfig = R"(
stages: [sft]
run: {device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 64, init_std: 0.2}
task: {k_min: 1, k_max: 2, align_to: 2}
sft: {steps: 4, batch_size: 4, optimizer: {lr: 0.01}}
eval: {problems_per_difficulty: 2, samples: 1, quick_problems_per_difficulty: 1}
checkpoint: {every: 1, keep: 100}
)";

class ModelInit : public ::testing::Test {
 protected:
  ModelInit() { go(config(), source_); }

  // A configuration that begins with the weights of `init`; empty: random ones.
  static configs::RunConfig config(const fs::path& init = {}, std::vector<std::string> settings = {}) {
    configs::RunConfig result = support::config_of(kConfig, settings);
    result.model.init = init.string();
    return result;
  }
  static void go(const configs::RunConfig& config, const fs::path& dir) {
    fs::create_directories(dir);
    support::run_alone(config, dir);
  }
  static fs::path step(const fs::path& dir, int64_t number) {
    return dir / "checkpoints" / fmt::format("step-{}", number);
  }
  static StateDict saved(const fs::path& dir, int64_t number) { return checkpoints::load(step(dir, number)).state; }
  static double loss(const fs::path& dir, int64_t number) {
    for (const nlohmann::json& record : support::records_of(dir))
      if (record.at("step") == number && record.contains("loss")) return record.at("loss");
    ADD_FAILURE() << "no loss of step " << number;
    return 0;
  }
  static void expect_same_weights(const StateDict& a, const StateDict& b) {
    int64_t compared = 0;
    for (const auto& [name, shard] : a.tensors) {
      if (!name.starts_with("model.")) continue;
      EXPECT_TRUE(torch::equal(shard.data, b.tensors.at(name).data)) << name;
      ++compared;
    }
    EXPECT_GT(compared, 5);
  }
  template <class Error>
  void expect_refused(const configs::RunConfig& config, const ::testing::Matcher<std::string>& message) const {
    const fs::path dir = folder_.path() / fmt::format("refused-{}", count_++);
    try {
      go(config, dir);
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_THAT(std::string(error.what()), AllOf(HasSubstr("model.init"), message));
    }
  }

  checkpoints::TemporaryFolder folder_;
  fs::path source_ = folder_.path() / "source";
  mutable int count_ = 0;
};

const std::vector<std::string> kStill = {"sft.optimizer.lr=0"};

TEST_F(ModelInit, BeginsWithTheWeightsOfTheCheckpointAndAFreshOptimizer) {
  const fs::path dir = folder_.path() / "run";
  go(config(step(source_, 2), kStill), dir);
  expect_same_weights(saved(dir, 1), saved(source_, 2));
  EXPECT_EQ(loss(dir, 3), loss(source_, 3)) << "the same weights, and the batch of the same step";
  EXPECT_NE(loss(dir, 1), loss(source_, 1));
  EXPECT_EQ(saved(dir, 1).whole("optimizer.updates").item<int64_t>(), 1);

  const nlohmann::json origin = saved(dir, 4).extra.at("init");
  EXPECT_EQ(origin.at("path"), step(source_, 2).string());
  EXPECT_EQ(origin.at("step"), 2);
  EXPECT_EQ(origin.at("manifest_sha256"), sha256_bytes(checkpoints::read_bytes(step(source_, 2) / "MANIFEST.json")));
  EXPECT_THAT(support::read_file(dir / "log.txt"), HasSubstr("weights of " + step(source_, 2).string()));
  EXPECT_FALSE(saved(source_, 4).extra.contains("init"));
}

TEST_F(ModelInit, OfARunFolderIsItsNewestSoundCheckpoint) {
  const fs::path first = folder_.path() / "first", second = folder_.path() / "second";
  go(config(source_, kStill), first);
  expect_same_weights(saved(first, 1), saved(source_, 4));
  checkpoints::write_bytes(step(source_, 4) / "extra.json", "{}");
  go(config(source_.string() + "/", kStill), second);
  expect_same_weights(saved(second, 1), saved(source_, 3));
  EXPECT_THAT(support::read_file(second / "log.txt"), HasSubstr("damaged checkpoint step-4"));
}

TEST_F(ModelInit, IsNotNeededOnceTheRunHasACheckpoint) {
  const fs::path whole = folder_.path() / "whole", resumed = folder_.path() / "resumed";
  const configs::RunConfig with = config(source_);
  go(with, whole);
  fs::create_directories(resumed / "checkpoints");
  fs::copy(step(whole, 2), step(resumed, 2), fs::copy_options::recursive);
  for (const char* name : {"metrics.jsonl", "ledger.jsonl", "traces"})
    if (fs::exists(whole / name)) fs::copy(whole / name, resumed / name, fs::copy_options::recursive);
  fs::rename(source_, folder_.path() / "moved");
  go(with, resumed);
  EXPECT_EQ(support::records_of(resumed), support::records_of(whole));
  EXPECT_TRUE(support::same_tensors(saved(resumed, 4), saved(whole, 4)));
  EXPECT_EQ(saved(resumed, 4).extra.at("init"), saved(whole, 4).extra.at("init"));
  expect_refused<ConfigError>(with, HasSubstr("holds no model"));
}

TEST_F(ModelInit, MayChangeWhatTheWeightsDoNotDependOn) {
  const fs::path dir = folder_.path() / "run";
  std::vector<std::string> other = kStill;
  for (const char* setting : {"model.max_seq_len=80", "model.precision=bf16", "model.init_std=0.1", "run.seed=7"})
    other.push_back(setting);
  go(config(source_, other), dir);
  expect_same_weights(saved(dir, 1), saved(source_, 4));
}

TEST_F(ModelInit, WithAnotherShapeNamesEachDifferenceWithBothValues) {
  expect_refused<ConfigError>(
      config(source_, {"model.hidden_size=32", "model.layers=2", "model.head_dim=8"}),
      AllOf(HasSubstr("model.hidden_size: 16 there, 32 here"), HasSubstr("model.layers: 1 there, 2 here"),
            Not(HasSubstr("model.head_dim")), Not(HasSubstr("model.intermediate_size"))));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"model.heads=4", "model.heads: 2 there, 4 here"},
      {"model.kv_heads=1", "model.kv_heads: 2 there, 1 here"},
      {"model.intermediate_size=48", "model.intermediate_size: 32 there, 48 here"},
      {"model.rope_theta=500", "model.rope_theta: 10000 there, 500 here"},
      {"model.norm_eps=1e-5", "model.norm_eps: 1e-06 there, 1e-05 here"},
      {"model.qk_norm=true", "model.qk_norm: false there, true here"},
      {"model.qkv_bias=true", "model.qkv_bias: false there, true here"},
      {"model.tie_embeddings=false", "model.tie_embeddings: true there, false here"}};
  for (const auto& [setting, message] : cases)
    expect_refused<ConfigError>(config(source_, {setting}), HasSubstr(message));
}

TEST_F(ModelInit, WithAnotherTokenizerNamesBoth) {
  const fs::path text = folder_.path() / "text.txt";
  std::ofstream(text) << std::string(300, 'a') << std::string(300, 'b');
  expect_refused<ConfigError>(config(source_, {"stages=[pretrain]", "pretrain.steps=2", "pretrain.seq_len=8",
                                               "tokenizer.kind=byte", "data.train=" + text.string()}),
                              AllOf(HasSubstr("tokenizer: symbol:chain7:"), HasSubstr(" there, byte here"),
                                    HasSubstr("size of the vocabulary: ")));
}

TEST_F(ModelInit, OfADamagedOrContradictoryCheckpointIsRefused) {
  const fs::path checkpoint = step(source_, 2);
  const auto expect_damaged = [&](const std::string& message) {
    const fs::path dir = folder_.path() / "damaged";
    fs::create_directories(dir);
    try {
      support::run_alone(config(checkpoint), dir);
      ADD_FAILURE() << "expected: " << message;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  };
  for (const std::string& file : checkpoints::names_in(checkpoint)) {
    const std::string bytes = checkpoints::read_bytes(checkpoint / file);
    std::string flipped = bytes;
    flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 1);
    checkpoints::write_bytes(checkpoint / file, flipped);
    expect_damaged("SHA-256");
    checkpoints::write_bytes(checkpoint / file, bytes);
  }
  nlohmann::json shape = nlohmann::json::parse(checkpoints::read_bytes(checkpoint / "config.json"));
  shape["intermediate_size"] = 40;
  checkpoints::write_bytes(checkpoint / "config.json", shape.dump());
  checkpoints::seal(checkpoint);
  expect_damaged("mlp.gate_proj.weight has shape [32, 16], a model of its shape has [40, 16]");
}

// A checkpoint of an older build does not tell its shape.
TEST_F(ModelInit, OfAnOlderBuildIsRefused) {
  StateDict state = saved(source_, 2);
  state.files.clear();
  checkpoints::Store(folder_.path() / "old/checkpoints", 2, false)
      .save(checkpoints::load(step(source_, 2)).info, state);
  expect_refused<ConfigError>(config(folder_.path() / "old"),
                              AllOf(HasSubstr("has no config.json"), HasSubstr("older build")));
}

}  // namespace
}  // namespace terse::rl
