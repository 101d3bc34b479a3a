// Tests conversions of models with adapters of LoRA: merged into the weights, and alone.
#include <gmock/gmock.h>

#include "checkpoints/store.h"
#include "tests/trainer/saved_model/convert/support.h"
#include "trainer/saved_model/adapter_config.h"
#include "trainer/saved_model/adapter_files.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::trainer::converting {
namespace {

using ::testing::HasSubstr;

// PEFT made this adapter for the model "llama".
const fs::path kAdapterOfPeft = kFixtures / "lora/after";

std::vector<float> values_of(const ModelFiles& model, const ParamInfo& info) {
  std::vector<float> values(static_cast<size_t>(info.numel()));
  model.read(info, 0, info.numel(), values.data());
  return values;
}

void expect_equal_weights(const ModelFiles& a, const ModelFiles& b) {
  for (const ParamInfo& info : ParamLayout(a.spec()).infos)
    EXPECT_EQ(values_of(a, info), values_of(b, info)) << info.name;
}

class ConvertWithAdapters : public Convert {
 protected:
  // A run folder whose checkpoint holds the weights of the model and the adapters beside them.
  fs::path adapted_run(const std::string& config = support::read_file(kAdapterOfPeft / kAdapterConfig)) const {
    to_checkpoint(model("llama"), "plain");
    checkpoints::StateDict state = checkpoints::load(folder_ / "plain").state;
    const AdapterFiles adapter(kAdapterOfPeft, open_model_files(model("llama"))->spec());
    for (const ParamInfo& info : ParamLayout(adapter.spec(), WeightSet::kAdapters).infos) {
      const torch::Tensor values = torch::empty(info.shape);
      adapter.read(info, 0, info.numel(), values.data_ptr<float>());
      state.add(info.name, values);
    }
    state.files[kAdapterConfig] = config;
    checkpoints::Store store(folder_ / "run/checkpoints", {.async = false});
    store.save({4, "sft", "abc", 0.5}, state);
    return folder_ / "run";
  }
};

TEST_F(ConvertWithAdapters, ACheckpointHasThemMerged) {
  const auto expected = merged(open_model_files(model("llama")), kAdapterOfPeft);
  const Converted result = to_hf(adapted_run(), "hf");
  EXPECT_THAT(result.notes, ::testing::Contains(HasSubstr("adapters of LoRA are merged")));
  expect_equal_weights(*open_model_files(folder_ / "hf"), *expected);
  EXPECT_FALSE(fs::exists(folder_ / "hf" / kAdapterConfig));
  to_checkpoint(folder_ / "run", "whole");
  EXPECT_FALSE(checkpoints::load(folder_ / "whole").state.files.contains(kAdapterConfig));
}

TEST_F(ConvertWithAdapters, AFolderOfPeftIsMergedIntoAModel) {
  const auto expected = merged(open_model_files(model("llama")), kAdapterOfPeft);
  convert_model({.from = model("llama"), .to = folder_ / "hf", .adapter = kAdapterOfPeft, .format = ModelFormat::kHf});
  expect_equal_weights(*open_model_files(folder_ / "hf"), *expected);
}

TEST_F(ConvertWithAdapters, TheirModelNeedNotHaveAName) {
  json config = json_of(kAdapterOfPeft / kAdapterConfig);
  config["base_model_name_or_path"] = nullptr;
  adapted_run(config.dump());
  convert(folder_ / "run", "alone", ModelFormat::kAdapter);
  EXPECT_EQ(json_of(folder_ / "alone" / kAdapterConfig)["base_model_name_or_path"], nullptr);
}

TEST_F(ConvertWithAdapters, TheyAreWrittenAloneAsPeftHasThem) {
  const Converted result = convert(adapted_run(), "alone", ModelFormat::kAdapter);
  EXPECT_TRUE(is_adapter(folder_ / "alone"));
  EXPECT_EQ(support::read_file(folder_ / "alone" / kAdapterWeights),
            support::read_file(kAdapterOfPeft / kAdapterWeights));
  EXPECT_EQ(result.files, 2u);
  EXPECT_GT(result.tensors, 0u);
  EXPECT_EQ(json_of(folder_ / "alone" / kAdapterConfig)["base_model_name_or_path"],
            json_of(kAdapterOfPeft / kAdapterConfig)["base_model_name_or_path"]);
  to_checkpoint(model("llama"), "first");
  EXPECT_THAT(complaint([&] { convert(folder_ / "first", "none", ModelFormat::kAdapter); }),
              HasSubstr("holds no adapters"));
  EXPECT_FALSE(fs::exists(folder_ / "none"));
}

}  // namespace
}  // namespace terse::trainer::converting
