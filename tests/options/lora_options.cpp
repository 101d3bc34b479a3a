// Effects of the options of LoRA, on the saved adapters and on losses.
#include "tests/options/option_effects.h"
#include "trainer/saved_model/adapter_files.h"

namespace terse::options {
namespace {

constexpr const char* kAdapters = "base_model.model.model.layers.0.";

// Fine-tuning with adapters, from a model that fine-tuning has made.
const Observed& adapted(const Settings& settings = {}) {
  const std::string model = (finetune().dir() / "checkpoints/step-2").string();
  return finetune(Settings{"model.init=" + model, "lora.rank=2", "sft.optimizer.lr=0.01"} + settings);
}

Weights adapters(const Observed& run, int64_t step = 3) {
  return Observed::tensors(run.saved(step).state, kAdapters);
}

double loss(const Observed& run, size_t step) {
  return run.metric("loss").at(step);
}

void rank(const Option& option) {
  const auto shape = [](const Observed& run) {
    return adapters(run).at("self_attn.q_proj.lora_A.weight").sizes().vec();
  };
  const Observed& run = adapted(option.set("3"));
  EXPECT_EQ(shape(run), (std::vector<int64_t>{3, 16}));
  EXPECT_EQ(shape(adapted()), (std::vector<int64_t>{2, 16}));
  EXPECT_TRUE(same(run.weights(), finetune().weights(2))) << "the model itself is trained";
  EXPECT_FALSE(same(adapted(option.set("0")).weights(), finetune().weights(2))) << "the model itself is not trained";
  EXPECT_TRUE(adapters(adapted(option.set("0"))).empty());
}

// B begins at 0, so the first loss is that of the model. AdamW's first step has a size of its own, so it moves the loss
// the further the larger the scale is.
void alpha(const Option& option) {
  const Observed &large = adapted(option.set("64")), &usual = adapted();
  EXPECT_EQ(loss(large, 0), loss(usual, 0));
  EXPECT_NE(loss(large, 1), loss(usual, 1));
}

void dropout(const Option& option) {
  const Observed &half = adapted(option.set("0.5")), &none = adapted();
  EXPECT_EQ(loss(half, 0), loss(none, 0)) << "B is 0";
  EXPECT_FALSE(same(adapters(half, 1), adapters(none, 1)));
}

void targets(const Option& option) {
  const Weights some = adapters(adapted(option.set("[v_proj, up_proj]")));
  EXPECT_EQ(some.size(), 4u);
  EXPECT_EQ(some.count("self_attn.v_proj.lora_B.weight"), 1u);
  EXPECT_EQ(some.count("mlp.up_proj.lora_A.weight"), 1u);
  EXPECT_EQ(adapters(adapted()).size(), 14u);
}

void init(const Option& option) {
  const Observed& source = adapted();
  const checkpoints::Store::Loaded saved = source.saved(2);
  trainer::ModelSpec spec = trainer::resolve(source.config.model, 16, source.config.lora);
  const support::TemporaryFolder folder;
  trainer::write_adapter(folder.path() / "adapter", spec, saved.state, "");
  const Settings still = {"sft.optimizer.lr=0"};
  EXPECT_TRUE(same(adapters(adapted(option.set((folder.path() / "adapter").string(), still)), 1), adapters(source, 2)));
  EXPECT_FALSE(same(adapters(adapted(still), 1), adapters(source, 2)));
}

}  // namespace

OptionEffects lora_effects() {
  return {{"lora.rank", "shape of the adapters, and whether the model itself is trained", rank},
          {"lora.alpha", "how far an update moves the loss", alpha},
          {"lora.dropout", "the first update, but not the first loss", dropout},
          {"lora.targets", "the projections that have adapters", targets},
          {"lora.init", "the adapters that a run begins with", init}};
}

}  // namespace terse::options
