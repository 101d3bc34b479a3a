// A checkpoint folder alone evaluates and generates like the run that it comes from, and is refused when it is damaged
// or contradicts itself.
#include "rl/eval/evaluate_checkpoint.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "configs/load.h"
#include "tests/checkpoints/support.h"
#include "tests/support/tiny_run.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::rl {
namespace {

namespace fs = std::filesystem;
using checkpoints::read_bytes;
using checkpoints::write_bytes;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kConfig = R"(
stages: [sft, rl]
run: {device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 128, init_std: 0.2, qk_norm: true, qkv_bias: true}
task: {k_min: 1, k_max: 2, align_to: 2}
sft: {steps: 4, batch_size: 4}
rl: {steps: 2, prompts: 2, group_size: 2, demonstrations: 2, max_resample_rounds: 0, eval_every: 0}
eval: {problems_per_difficulty: 3, samples: 2, quick_problems_per_difficulty: 1}
engine: {max_new_tokens: 20}
checkpoint: {every: 1, keep: 100}
)";

class LoneCheckpoint : public ::testing::Test {
 protected:
  static constexpr const char* kNewest = "step-6";

  LoneCheckpoint() {
    const configs::RunConfig config = support::config_of(kConfig);
    fs::create_directory(run_);
    summary_ = support::run_alone(config, run_);
    fs::copy(run_ / "checkpoints" / kNewest, copy_, fs::copy_options::recursive);
  }
  static nlohmann::json eval(const fs::path& target) {
    return evaluate_checkpoint({.target = target, .device = "cpu"});
  }
  static std::string text(const fs::path& target) {
    std::string all;
    const int64_t limit = generate({.target = target, .prompt = "<bos> 3+2*5=", .samples = 3, .device = "cpu"},
                                   [&](int64_t sample, const std::string& words, int64_t tokens, bool finished) {
                                     all += fmt::format("{} {} {} {}\n", sample, words, tokens, finished);
                                   });
    return all + std::to_string(limit);
  }
  void expect_refused(const std::string& file, const std::string& reason) const {
    try {
      eval(copy_);
      ADD_FAILURE() << "expected an error about " << file;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(file), HasSubstr(reason)));
    }
    EXPECT_THROW(text(copy_), DataError);
  }
  // Replaces a file, and makes the hashes right again.
  void replace(const std::string& file, const std::string& content) const {
    write_bytes(copy_ / file, content);
    checkpoints::seal(copy_);
  }

  checkpoints::TemporaryFolder folder_;
  fs::path run_ = folder_.path() / "run";
  fs::path copy_ = folder_.path() / "elsewhere";
  nlohmann::json summary_;
};

TEST_F(LoneCheckpoint, EqualsTheRunThatItComesFrom) {
  EXPECT_THAT(checkpoints::names_in(copy_), ElementsAre("MANIFEST.json", "MANIFEST.sha256", "config.json",
                                                        "config.yaml", "extra.json", "rank-0.h5", "tokenizer.json"));
  const nlohmann::json result = eval(copy_);
  EXPECT_EQ(result, summary_["stages"][1]["eval"]) << "the evaluation at the end of the stage";
  EXPECT_EQ(eval(run_), result);
  EXPECT_EQ(eval(run_ / "checkpoints" / kNewest), result);
  EXPECT_EQ(text(run_), text(copy_));
  EXPECT_EQ(read_bytes(copy_ / "tokenizer.json"), read_bytes(run_ / "tokenizer.json"));
  fs::remove_all(run_);
  EXPECT_EQ(eval(copy_), result);
}

TEST_F(LoneCheckpoint, TheTextOfASampleLacksTheTokenThatEndsIt) {
  int64_t ended = 0;
  generate({.target = copy_, .prompt = "<bos> 3+2*5=", .samples = 100, .device = "cpu"},
           [&](int64_t, const std::string& words, int64_t tokens, bool finished) {
             EXPECT_THAT(words, ::testing::Not(HasSubstr("<eos>")));
             EXPECT_GE(tokens, 1);
             ended += finished ? 1 : 0;
           });
  EXPECT_GT(ended, 0);
}

// The files around its checkpoints do not matter for a run folder either.
TEST_F(LoneCheckpoint, OfARunFolderIsTheNewestSoundOne) {
  const nlohmann::json result = eval(run_ / "checkpoints/step-5");
  fs::remove(run_ / "tokenizer.json");
  write_bytes(run_ / "checkpoints" / kNewest / "config.json", "{}");
  EXPECT_EQ(eval(run_), result);
}

TEST_F(LoneCheckpoint, WithAFlippedBitInAnyFileIsRefused) {
  for (const std::string& file : checkpoints::names_in(copy_)) {
    const std::string bytes = read_bytes(copy_ / file);
    for (const size_t at : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ 1);
      write_bytes(copy_ / file, flipped);
      expect_refused(file == "MANIFEST.sha256" ? "MANIFEST.json" : file, "SHA-256");
    }
    write_bytes(copy_ / file, bytes);
    fs::rename(copy_ / file, folder_.path() / "aside");
    expect_refused(file, "");
    fs::rename(folder_.path() / "aside", copy_ / file);
  }
  EXPECT_EQ(eval(copy_), eval(run_));
}

TEST_F(LoneCheckpoint, WhoseShapeIsNotThatOfItsTensorsIsRefused) {
  const auto with = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json shape = nlohmann::json::parse(read_bytes(run_ / "checkpoints" / kNewest / "config.json"));
    shape[key] = value;
    replace("config.json", shape.dump());
  };
  with("hidden_size", 24);
  expect_refused("tensor model.embed_tokens.weight has shape [", ", 24]");
  expect_refused("tensor model.embed_tokens.weight has shape [", ", 16], a model of its shape has [");
  with("num_hidden_layers", 2);
  expect_refused("has no tensor model.layers.1.", "");
  with("intermediate_size", 1 << 20);
  expect_refused("mlp.gate_proj.weight has shape [32, 16]", "[1048576, 16]");
  with("tie_word_embeddings", false);
  expect_refused("has no tensor lm_head.weight", "");
  with("model_type", "gpt2");
  expect_refused("config.json", "\"model_type\" is \"gpt2\"");
  replace("config.json", "[");
  expect_refused("config.json", "it is not JSON");
}

TEST_F(LoneCheckpoint, WhoseOtherFilesDoNotFitIsRefused) {
  replace("tokenizer.json", "{}");
  expect_refused("tokenizer.json", "not a tokenizer");
  replace("tokenizer.json", R"({"format": "terse-tokenizer", "version": 1, "kind": "byte"})");
  expect_refused("config.json", "\"vocab_size\" is ");
  replace("tokenizer.json", read_bytes(run_ / "tokenizer.json"));
  replace("config.yaml", "base: /etc/hostname\n");
  expect_refused("config.yaml", "base file");
}

TEST_F(LoneCheckpoint, IsLoadedWithoutItsTrainingState) {
  const fs::path in_mid_stage = run_ / "checkpoints/step-5";  // with the state of the optimizer
  const auto loaded = trainer::load_target(in_mid_stage, trainer::weights_only);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_LT(loaded->state.tensors.size(), checkpoints::load(in_mid_stage).state.tensors.size());
  EXPECT_EQ(trainer::saved_spec(*loaded).hidden_size, 16);
  for (const auto& [name, shard] : loaded->state.tensors) EXPECT_TRUE(name.starts_with("model.")) << name;
}

TEST_F(LoneCheckpoint, AFolderWithoutOneSaysWhatIsExpected) {
  fs::create_directories(folder_.path() / "empty/checkpoints");
  for (const fs::path& target : {folder_.path() / "empty", folder_.path() / "empty/checkpoints"}) {
    try {
      eval(target);
      ADD_FAILURE();
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(target.string()), HasSubstr("holds no checkpoint")));
    }
  }
}

}  // namespace
}  // namespace terse::rl
