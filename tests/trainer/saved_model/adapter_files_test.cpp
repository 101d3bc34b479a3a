// Compares adapters, their merge and an update with what PEFT and PyTorch compute. make_adapters.py made the fixtures.
#include "trainer/saved_model/adapter_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "data/pack.h"
#include "tests/support/temporary_folder.h"
#include "trainer/model/transformer.h"
#include "trainer/optimizer.h"
#include "trainer/saved_model/adapter_config.h"
#include "trainer/saved_model/initial_weights.h"
#include "trainer/train.h"

namespace terse::trainer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

const fs::path kModel = fs::path(TERSE_SOURCE_DIR) / "tests/trainer/saved_model/fixtures/llama";
const fs::path kAdapter = kModel.parent_path() / "lora";

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

json reference() {
  return json::parse(contents(kAdapter / "expected.json"));
}

// The model with the adapter that PEFT had before the update.
std::unique_ptr<Transformer> adapted_model() {
  const auto files = open_model_files(kModel);
  const AdapterFiles adapter(kAdapter / "before", files->spec());
  auto model = std::make_unique<Transformer>(adapter.spec(), torch::kCPU, 0);
  model->fill(
      [&](const ParamInfo& info, int64_t begin, int64_t end, float* out) { files->read(info, begin, end, out); });
  load_initial_adapters(*model, kAdapter / "before");
  return model;
}

double difference(Transformer& model, const json& expected, const json& tokens, const ForwardMode& mode = {}) {
  torch::NoGradGuard no_grad;
  const auto ids = tokens.get<std::vector<int32_t>>();
  const data::Batch batch = data::pack({data::Sequence{ids, std::vector<float>(ids.size())}});
  const torch::Tensor logits = model.hidden(batch, mode).x.matmul(model.params().head().t());
  double largest = 0;
  for (size_t t = 0; t < expected.size(); ++t) {
    const torch::Tensor there = torch::tensor(expected[t].get<std::vector<float>>());
    largest = std::max(largest, (logits[static_cast<int64_t>(t)] - there).abs().max().item<double>());
  }
  return largest;
}

TEST(AdapterFiles, TellTheOptionsOfThePeftFolder) {
  const AdapterFiles files(kAdapter / "before", open_model_files(kModel)->spec());
  EXPECT_EQ(files.spec().lora.rank, 3);
  EXPECT_EQ(files.spec().lora.alpha, 5);
  EXPECT_EQ(files.spec().lora.dropout, 0);
  EXPECT_EQ(files.spec().lora.targets,
            (std::vector<std::string>{"q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"}));
}

// The cache of Hugging Face links its files.
TEST(AdapterFiles, MayBeLinks) {
  const support::TemporaryFolder linked;
  for (const auto& entry : std::filesystem::directory_iterator(kAdapter / "before"))
    std::filesystem::create_symlink(entry.path(), linked.path() / entry.path().filename());
  EXPECT_EQ(AdapterFiles(linked.path(), open_model_files(kModel)->spec()).spec().lora.rank, 3);
}

TEST(AdapterFiles, ModelHasTheLogitsOfPeft) {
  const json expected = reference();
  const auto model = adapted_model();
  EXPECT_LT(difference(*model, expected["logits"], expected["sequences"][0]), 2e-5);
  EXPECT_LT(difference(*model, expected["logits_of_base"], expected["sequences"][0], {.adapters = false}), 1e-5);
}

// One step of supervised fine-tuning: loss, gradient, clipping and AdamW.
TEST(AdapterFiles, AnUpdateIsThatOfPyTorch) {
  const json expected = reference();
  const auto model = adapted_model();
  std::vector<data::Sequence> sequences;
  const auto prompt = expected["prompt"].get<size_t>();
  for (const json& tokens : expected["sequences"]) {
    data::Sequence sequence{tokens.get<std::vector<int32_t>>(), {}};
    for (size_t i = 0; i < sequence.tokens.size(); ++i) sequence.weights.push_back(i < prompt ? 0.0f : 1.0f);
    sequences.push_back(std::move(sequence));
  }
  const json& options = expected["optimizer"];
  configs::Optimizer config;
  config.beta1 = options["betas"][0];
  config.beta2 = options["betas"][1];
  config.eps = options["eps"];
  config.weight_decay = options["weight_decay"];
  config.clip_grad_norm = options["clip"];
  AdamW optimizer(model->params(), config);
  const double loss = accumulate_cross_entropy(*model, {data::pack(sequences), 2}, {1}).mean().value();
  const AdamW::Update update = optimizer.step(options["lr"]);
  EXPECT_NEAR(loss, expected["loss"], 1e-6 * loss);
  EXPECT_NEAR(update.grad_norm, expected["grad_norm"], 1e-5 * update.grad_norm);

  checkpoints::StateDict state;
  model->save(state);
  const AdapterFiles before(kAdapter / "before", model->spec()), after(kAdapter / "after", model->spec());
  double largest = 0;
  for (const ParamInfo& info : model->params().layout().infos) {
    torch::Tensor old = torch::empty(info.shape), theirs = torch::empty(info.shape);
    before.read(info, 0, info.numel(), old.data_ptr<float>());
    after.read(info, 0, info.numel(), theirs.data_ptr<float>());
    const torch::Tensor ours = state.whole(info.name);
    EXPECT_FALSE(torch::equal(old, theirs)) << info.name;
    const double relative = ((ours - theirs).norm() / theirs.norm()).item<double>();
    EXPECT_LT(relative, 1e-5) << info.name;
    largest = std::max(largest, relative);
  }
  std::printf("loss differs by %.2g, the norm of the gradient by %.2g, adapters by at most %.2g of their norm\n",
              std::abs(loss - expected["loss"].get<double>()),
              std::abs(update.grad_norm - expected["grad_norm"].get<double>()), largest);
  EXPECT_LT(difference(*model, expected["logits_after"], expected["sequences"][0]), 1e-4);
}

TEST(AdapterFiles, WrittenFilesAreThoseOfPeft) {
  const support::TemporaryFolder folder;
  const auto model = adapted_model();
  checkpoints::StateDict state;
  model->save(state);
  write_adapter(folder.path() / "new", model->spec(), state, "llama");
  EXPECT_EQ(contents(folder.path() / "new" / kAdapterWeights), contents(kAdapter / "before" / kAdapterWeights));
  json ours = json::parse(contents(folder.path() / "new" / kAdapterConfig));
  const json theirs = json::parse(contents(kAdapter / "before" / kAdapterConfig));
  std::sort(ours["target_modules"].begin(), ours["target_modules"].end());
  for (const auto& [key, value] : ours.items()) EXPECT_EQ(value, theirs.at(key)) << key;
  EXPECT_TRUE(is_adapter(folder.path() / "new"));
  EXPECT_THROW(write_adapter(folder.path() / "new", model->spec(), state, "llama"), ConfigError);
}

TEST(AdapterFiles, MergedWeightsHaveTheLogitsOfPeft) {
  const json expected = reference();
  const auto files = merged(open_model_files(kModel), kAdapter / "after");
  Transformer model(files->spec(), torch::kCPU, 0, {}, Purpose::kInference);
  EXPECT_FALSE(model.spec().has_adapters());
  model.fill(
      [&](const ParamInfo& info, int64_t begin, int64_t end, float* out) { files->read(info, begin, end, out); });
  EXPECT_LT(difference(model, expected["logits_merged"], expected["sequences"][0]), 2e-5);
}

TEST(AdapterFiles, MergedWeightsHaveTheSameBitsHoweverTheyAreRead) {
  const auto files = merged(open_model_files(kModel), kAdapter / "after");
  for (const ParamInfo& info : ParamLayout(files->spec()).infos) {
    torch::Tensor whole = torch::empty({info.numel()}), parts = torch::empty({info.numel()});
    files->read(info, 0, info.numel(), whole.data_ptr<float>());
    for (int64_t begin = 0; begin < info.numel(); begin += 7)
      files->read(info, begin, std::min(begin + 7, info.numel()), parts.data_ptr<float>() + begin);
    EXPECT_TRUE(torch::equal(whole, parts)) << info.name;
  }
}

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(AdapterFiles, AnotherAdapterThanTheRunsIsRefusedWithEveryDifference) {
  ModelSpec spec = open_model_files(kModel)->spec();
  spec.lora = {.rank = 4, .alpha = 8, .dropout = 0, .targets = {"q_proj"}, .init = ""};
  Transformer model(spec, torch::kCPU, 0);
  const std::string text = refusal([&] { load_initial_adapters(model, kAdapter / "before"); });
  EXPECT_THAT(text, HasSubstr("lora.rank: 3 there, 4 here"));
  EXPECT_THAT(text, HasSubstr("lora.alpha: 5 there, 8 here"));
  EXPECT_THAT(text, HasSubstr("lora.targets: [down_proj, gate_proj, o_proj, q_proj, v_proj] there, [q_proj] here"));
  EXPECT_THAT(refusal([&] { load_initial_adapters(model, kModel); }), HasSubstr("holds no adapter"));
}

TEST(AdapterFiles, AnotherModelsAdapterIsRefusedByTensor) {
  ModelSpec wider = open_model_files(kModel)->spec(), shallower = wider;
  wider.intermediate_size = 64;
  shallower.layers = 1;
  EXPECT_THAT(
      refusal([&] { AdapterFiles(kAdapter / "before", wider); }),
      HasSubstr("layers.0.mlp.gate_proj.lora_B.weight has shape [40, 3]; an adapter of this model has [64, 3]"));
  EXPECT_THAT(refusal([&] { AdapterFiles(kAdapter / "before", shallower); }),
              HasSubstr("layers.1.mlp.down_proj.lora_A.weight with shape [3, 40] is no part"));
}

TEST(AdapterConfig, WhatIsNotSupportedIsRefusedByName) {
  const json good = json::parse(contents(kAdapter / "before" / kAdapterConfig));
  EXPECT_EQ(lora_from_adapter_config(good).rank, 3);
  const std::pair<const char*, json> bad[] = {{"peft_type", "LOHA"},
                                              {"bias", "all"},
                                              {"use_dora", true},
                                              {"use_rslora", true},
                                              {"fan_in_fan_out", true},
                                              {"lora_bias", true},
                                              {"modules_to_save", {"lm_head"}},
                                              {"rank_pattern", {{"q_proj", 4}}},
                                              {"alpha_pattern", {{"q_proj", 4}}},
                                              {"layers_to_transform", {0}},
                                              {"exclude_modules", {"q_proj"}},
                                              {"trainable_token_indices", {1, 2}},
                                              {"init_lora_weights", "pissa"},
                                              {"a_key_of_tomorrow", true},
                                              {"r", 0},
                                              {"r", 2.5},
                                              {"lora_alpha", -1},
                                              {"lora_alpha", "16"},
                                              {"lora_dropout", 1.0},
                                              {"target_modules", {"lm_head"}},
                                              {"target_modules", json::array()},
                                              {"target_modules", ".*_proj"}};
  for (const auto& [key, value] : bad) {
    json config = good;
    config[key] = value;
    const std::string text = refusal([&] { lora_from_adapter_config(config); });
    // Where one element of a list is wrong, the message shows that element.
    EXPECT_THAT(text, HasSubstr(std::string("\"") + key + "\" is ")) << value;
  }
  for (const char* key : {"peft_type", "r", "lora_alpha", "target_modules"}) {
    json config = good;
    config.erase(key);
    EXPECT_THAT(refusal([&] { lora_from_adapter_config(config); }), HasSubstr(std::string("no \"") + key)) << key;
  }
}

TEST(AdapterConfig, ReadsBackToEqualOptions) {
  const configs::Lora lora{.rank = 8, .alpha = 12.5, .dropout = 0.1, .targets = {"k_proj", "up_proj"}, .init = ""};
  const configs::Lora back = lora_from_adapter_config(to_adapter_config(lora, ""));
  EXPECT_EQ(back.rank, lora.rank);
  EXPECT_EQ(back.alpha, lora.alpha);
  EXPECT_EQ(back.dropout, lora.dropout);
  EXPECT_EQ(back.targets, lora.targets);
  json all = to_adapter_config(lora, "");
  all["target_modules"] = "all-linear";
  EXPECT_EQ(lora_from_adapter_config(all).targets, configs::Lora{}.targets);
}

}  // namespace
}  // namespace terse::trainer
