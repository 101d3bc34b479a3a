// Compares models of other programs with the logits that transformers computes from the same files. make_models.py made
// the fixtures.
#include "trainer/saved_model/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/formats/safetensors/folder.h"
#include "data/pack.h"
#include "tests/support/temporary_folder.h"
#include "trainer/model/transformer.h"

namespace terse::trainer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

const fs::path kFixtures = fs::path(TERSE_SOURCE_DIR) / "tests/trainer/saved_model/fixtures";
const char* const kModels[] = {"llama", "mistral", "qwen2", "qwen3"};

std::vector<fs::path> all_files() {
  std::vector<fs::path> paths = {kFixtures / "scaled"};
  for (const char* const name : kModels) {
    paths.push_back(kFixtures / name);
    paths.push_back(kFixtures / name / "model.gguf");
  }
  return paths;
}

json expected_of(const fs::path& path) {
  std::ifstream file((fs::is_directory(path) ? path : path.parent_path()) / "expected.json");
  return json::parse(file);
}

torch::Tensor logits_of(const ModelFiles& files, const std::vector<int32_t>& tokens) {
  torch::NoGradGuard no_grad;
  ModelSpec spec = files.spec();
  spec.bf16 = false;  // the reference computes in fp32, whatever the weights are stored as
  Transformer model(spec, torch::kCPU, 0, {}, Purpose::kInference);
  model.fill([&](const ParamInfo& info, int64_t begin, int64_t end, float* out) { files.read(info, begin, end, out); });
  const data::Batch batch = data::pack({data::Sequence{tokens, std::vector<float>(tokens.size())}});
  return model.hidden(batch).x.matmul(model.params().head().t());
}

double difference(const torch::Tensor& logits, const json& expected) {
  double largest = 0;
  for (size_t t = 0; t < expected.size(); ++t) {
    const auto row = expected[t].get<std::vector<float>>();
    const torch::Tensor there = torch::tensor(row);
    largest = std::max(largest, (logits[static_cast<int64_t>(t)] - there).abs().max().item<double>());
  }
  return largest;
}

TEST(ModelFiles, HaveTheLogitsOfTransformers) {
  for (const fs::path& path : all_files()) {
    ASSERT_TRUE(is_model_files(path)) << path;
    const json expected = expected_of(path);
    const double largest = difference(logits_of(*open_model_files(path), expected["tokens"]), expected["logits"]);
    std::printf("%s: largest difference of a logit %.2g\n", path.c_str(), largest);
    EXPECT_LT(largest, 1e-5) << path;
  }
}

// Ranks read what they own, which begins and ends anywhere in a tensor.
TEST(ModelFiles, AnyPartOfAWeightIsThatPartOfTheWhole) {
  for (const fs::path& path : all_files()) {
    const auto files = open_model_files(path);
    for (const ParamInfo& info : ParamLayout(files->spec()).infos) {
      std::vector<float> whole(static_cast<size_t>(info.numel()));
      files->read(info, 0, info.numel(), whole.data());
      std::vector<float> parts(whole.size());
      const std::vector<int64_t> cuts = {0, 1, info.numel() / 3, info.numel() - 1, info.numel()};
      for (size_t i = 0; i + 1 < cuts.size(); ++i) files->read(info, cuts[i], cuts[i + 1], parts.data() + cuts[i]);
      EXPECT_EQ(parts, whole) << path << " " << info.name;
    }
  }
}

TEST(ModelFiles, BothFormatsHoldTheSameWeights) {
  for (const std::string name : kModels) {
    const auto folder = open_model_files(kFixtures / name), gguf = open_model_files(kFixtures / name / "model.gguf");
    const configs::RopeScaling &a = folder->spec().rope_scaling, &b = gguf->spec().rope_scaling;
    EXPECT_EQ(a.type, b.type);
    EXPECT_EQ(a.type, name == std::string("llama") ? "llama3" : "none");
    EXPECT_NEAR(a.factor, b.factor, 1e-5);
    EXPECT_EQ(a.original_max_seq_len, b.original_max_seq_len);
    for (const ParamInfo& info : ParamLayout(folder->spec()).infos) {
      std::vector<float> one(static_cast<size_t>(info.numel())), other(one.size());
      folder->read(info, 0, info.numel(), one.data());
      gguf->read(info, 0, info.numel(), other.data());
      EXPECT_EQ(one, other) << name << " " << info.name;
    }
  }
}

TEST(ModelFiles, AScalingThatAGgufFileCannotTellIsRefused) {
  try {
    open_model_files(kFixtures / "scaled/model.gguf");
    ADD_FAILURE() << "it was accepted";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("model.gguf: tensor rope_freqs.weight: element "));
    EXPECT_THAT(error.what(), HasSubstr("other scalings of rotary positions are not supported"));
  }
}

class DamagedModel : public ::testing::Test {
 protected:
  DamagedModel() { fs::copy(kFixtures / "llama", folder_.path() / "model"); }
  fs::path path() const { return folder_.path() / "model"; }
  void edit(const std::string& key, const json& value) {
    std::ifstream in(path() / "config.json");
    json config = json::parse(in);
    config[key] = value;
    std::ofstream(path() / "config.json") << config.dump();
  }
  std::string complaint() {
    try {
      open_model_files(path());
    } catch (const DataError& error) {
      return error.what();
    }
    return "no complaint";
  }
  support::TemporaryFolder folder_;
};

TEST_F(DamagedModel, NamesTheFileAndTheKeyOrTheTensor) {
  EXPECT_EQ(complaint(), "no complaint");
  edit("hidden_act", "gelu");
  EXPECT_THAT(complaint(), HasSubstr("model/config.json: \"hidden_act\" is \"gelu\"; expected \"silu\""));
  edit("hidden_act", "silu");
  edit("intermediate_size", 48);
  EXPECT_THAT(complaint(), HasSubstr("model.layers.0.mlp.gate_proj.weight has shape [40, 24]; a model of"));
  edit("intermediate_size", 40);
  edit("num_hidden_layers", 1);
  EXPECT_THAT(complaint(), HasSubstr("is no part of a model of"));
  edit("num_hidden_layers", 3);
  EXPECT_THAT(complaint(), HasSubstr("model.layers.2."));
  edit("num_hidden_layers", 2);
  edit("tie_word_embeddings", false);
  EXPECT_THAT(complaint(), HasSubstr("lm_head.weight"));
}

TEST_F(DamagedModel, WhatIsNoModelSaysWhatIsOne) {
  fs::remove(path() / "config.json");
  EXPECT_FALSE(is_model_files(path()));
  EXPECT_THAT(complaint(), HasSubstr("is no model: expected a folder with a config.json and *.safetensors, or a GGUF"));
}

}  // namespace
}  // namespace terse::trainer
