// Adapters of LoRA in the model: what they compute, that they alone are trained, and that nothing depends on how a
// batch is split. tests/trainer/saved_model/adapter_files_test.cpp compares with PEFT.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tiny_model.h"
#include "trainer/optimizer.h"
#include "trainer/saved_model/adapter_files.h"
#include "trainer/train.h"

namespace terse::trainer {
namespace {

using support::random_sequences;
using support::randomise_adapters;
using support::tiny_spec;

configs::Lora lora(double dropout = 0,
                   std::vector<std::string> targets = {"q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"}) {
  return {.rank = 3, .alpha = 5, .dropout = dropout, .targets = std::move(targets), .init = ""};
}

BatchShare everything(const data::Batch& batch) {
  return {batch, batch.sequence_count()};
}

torch::Tensor logprobs(Transformer& model, const data::Batch& batch, const ForwardMode& mode = {}) {
  torch::NoGradGuard no_grad;
  return model.logprobs(batch, batch.weights.nonzero().squeeze(1), {}, mode).logprob;
}

torch::Tensor gradient(Transformer& model, const data::Batch& batch, int64_t micro_batch,
                       std::optional<DropoutKey> dropout = {}) {
  model.params().zero_grad();
  accumulate_cross_entropy(model, everything(batch), {micro_batch}, 1, {.dropout = dropout});
  model.params().finish_grad();
  return model.params().grad().clone();
}

// All frozen weights as a checkpoint holds them.
std::map<std::string, torch::Tensor> frozen_of(const Transformer& model) {
  checkpoints::StateDict state;
  model.params().frozen()->save(state, {});
  std::map<std::string, torch::Tensor> weights;
  for (const auto& [name, shard] : state.tensors) weights[name] = shard.data.clone();
  return weights;
}

TEST(Lora, BeginsAsTheModelThatItAdapts) {
  const data::Batch batch = data::pack(random_sequences({9, 30, 17}, 1));
  for (const bool tied : {false, true}) {
    Transformer plain(tiny_spec({.qk_norm = true, .qkv_bias = true, .tied = tied}), torch::kCPU, 5);
    Transformer adapted(tiny_spec({.qk_norm = true, .qkv_bias = true, .tied = tied, .lora = lora()}), torch::kCPU, 5);
    EXPECT_TRUE(torch::equal(logprobs(plain, batch), logprobs(adapted, batch)));
  }
}

// PEFT's own numbers: A is uniform within 1 / sqrt(in), B is zero.
TEST(Lora, AdaptersBeginAsInPeft) {
  Transformer model(tiny_spec({.lora = lora()}), torch::kCPU, 5);
  checkpoints::StateDict state;
  model.save(state);
  const auto adapter = [&](const std::string& name) {
    return state.whole("base_model.model.model.layers.1." + name + ".weight");
  };
  for (const auto& [projection, in, out] : {std::tuple{"self_attn.q_proj", 48, 64}, {"mlp.down_proj", 80, 48}}) {
    const torch::Tensor a = adapter(std::string(projection) + ".lora_A");
    const torch::Tensor b = adapter(std::string(projection) + ".lora_B");
    EXPECT_EQ(a.sizes(), (std::vector<int64_t>{3, in}));
    EXPECT_EQ(b.sizes(), (std::vector<int64_t>{out, 3}));
    const double bound = 1 / std::sqrt(in);
    EXPECT_LE(a.abs().max().item<double>(), bound);
    EXPECT_GT(a.abs().max().item<double>(), 0.9 * bound);
    EXPECT_NEAR(a.std().item<double>(), bound / std::sqrt(3.0), 0.1 * bound);
    EXPECT_EQ(b.count_nonzero().item<int64_t>(), 0);
  }
  EXPECT_FALSE(state.tensors.contains("base_model.model.model.layers.1.self_attn.k_proj.lora_A.weight"));
}

TEST(Lora, ComputesWhatTheMergedWeightsCompute) {
  const data::Batch batch = data::pack(random_sequences({9, 30, 17}, 1));
  Transformer adapted(tiny_spec({.qkv_bias = true, .lora = lora()}), torch::kCPU, 5);
  randomise_adapters(adapted, 3);
  checkpoints::StateDict state;
  adapted.save(state);
  AdapterMerge merge(adapted.spec(), read_from(state));
  Transformer merged(tiny_spec({.qkv_bias = true}), torch::kCPU, 0);
  merged.fill([&](const ParamInfo& info, int64_t begin, int64_t end, float* out) {
    read_from(state)(info, begin, end, out);
    merge.add(info, begin, end, out);
  });
  const torch::Tensor there = logprobs(adapted, batch), here = logprobs(merged, batch);
  EXPECT_LT((there - here).abs().max().item<double>(), 1e-4);
  EXPECT_GT((there - logprobs(adapted, batch, {.adapters = false})).abs().max().item<double>(), 0.01);
}

// The reference policy of RL: the model without its adapters, and no second copy of it.
TEST(Lora, WithoutItsAdaptersItIsTheFrozenModelBitForBit) {
  const data::Batch batch = data::pack(random_sequences({9, 30, 17}, 1));
  for (const bool recompute : {false, true}) {
    Transformer plain(tiny_spec({.qk_norm = true}), torch::kCPU, 5);
    Transformer adapted(tiny_spec({.qk_norm = true, .recompute = recompute, .lora = lora()}), torch::kCPU, 5);
    randomise_adapters(adapted, 3);
    EXPECT_TRUE(torch::equal(logprobs(plain, batch), logprobs(adapted, batch, {.adapters = false})));
    EXPECT_FALSE(torch::equal(logprobs(plain, batch), logprobs(adapted, batch)));
  }
}

TEST(Lora, OnlyAdaptersAreTrained) {
  Transformer model(tiny_spec({.qk_norm = true, .qkv_bias = true, .tied = false, .lora = lora()}), torch::kCPU, 5);
  const int64_t ins = 3 * (48 + 48 + 64 + 48 + 80), outs = 3 * (64 + 32 + 48 + 80 + 48);
  EXPECT_EQ(model.params().size(), 2 * (ins + outs));
  EXPECT_EQ(model.params().grad().numel(), 2 * (ins + outs));
  const auto before = frozen_of(model);
  const torch::Tensor adapters = model.params().master().clone();
  AdamW optimizer(model.params(), {});
  const data::Batch batch = data::pack(random_sequences({20, 20, 20, 20}, 6));
  for (int step = 0; step < 3; ++step) {
    gradient(model, batch, 0);
    EXPECT_TRUE(optimizer.step(1e-2).applied);
  }
  EXPECT_FALSE(torch::equal(adapters, model.params().master()));
  for (const auto& [name, weight] : frozen_of(model)) EXPECT_TRUE(torch::equal(weight, before.at(name))) << name;
}

TEST(Lora, LearnsASmallBatch) {
  for (const char* precision : {"fp32", "bf16"}) {
    ModelSpec spec = tiny_spec({.lora = lora()});
    spec.lora.rank = 16;
    spec.bf16 = std::string(precision) == "bf16";
    Transformer model(spec, torch::kCPU, 4);
    EXPECT_EQ(model.params().frozen()->block(0).qkv.scalar_type(), spec.bf16 ? torch::kBFloat16 : torch::kFloat32);
    EXPECT_EQ(model.params().frozen()->final_norm().scalar_type(), torch::kFloat32);
    AdamW optimizer(model.params(), {});
    const data::Batch batch = data::pack(random_sequences({20, 20}, 6));
    const double before = cross_entropy(model, everything(batch)).mean().value();
    for (int step = 0; step < 100; ++step) {
      gradient(model, batch, 0);
      optimizer.step(1e-2);
    }
    EXPECT_LT(cross_entropy(model, everything(batch)).mean().value(), 0.5 * before) << precision;
  }
}

TEST(Lora, GradientAgreesWithFiniteDifferences) {
  Transformer model(tiny_spec({.qk_norm = true, .tied = false, .lora = lora()}), torch::kCPU, 9);
  randomise_adapters(model, 3);
  const data::Batch batch = data::pack(random_sequences({10, 25}, 3));
  const torch::Tensor grad = gradient(model, batch, 0), direction = grad / grad.norm();
  const auto loss_at = [&](double t) {
    torch::NoGradGuard no_grad;
    model.params().master().add_(direction * t);
    const double loss = cross_entropy(model, everything(batch)).mean().value();
    model.params().master().sub_(direction * t);
    return loss;
  };
  const double slope = (loss_at(1e-2) - loss_at(-1e-2)) / 2e-2;
  EXPECT_NEAR(slope, grad.norm().item<double>(), 0.01 * slope);
}

// With dropout, too, and whether blocks are recomputed or not.
TEST(Lora, TheGradientDoesNotDependOnTheMicroBatch) {
  const data::Batch batch = data::pack(random_sequences({9, 30, 17, 64, 5, 21, 40, 33}, 1));
  for (const double dropout : {0.0, 0.3}) {
    Transformer kept(tiny_spec({.lora = lora(dropout)}), torch::kCPU, 5);
    Transformer recomputed(tiny_spec({.recompute = true, .lora = lora(dropout)}), torch::kCPU, 5);
    randomise_adapters(kept, 3);
    randomise_adapters(recomputed, 3);
    const DropoutKey key{.seed = 7, .update = 2};
    const torch::Tensor at_once = gradient(kept, batch, 0, key);
    EXPECT_GT(at_once.norm().item<double>(), 0);
    for (const int64_t sequences : {1, 2, 3, 4}) {
      EXPECT_TRUE(torch::equal(gradient(kept, batch, sequences, key), at_once)) << sequences << ", " << dropout;
    }
    EXPECT_TRUE(torch::equal(gradient(recomputed, batch, 3, key), at_once)) << dropout;
    EXPECT_EQ(torch::equal(gradient(kept, batch, 0, DropoutKey{.seed = 7, .update = 3}), at_once), dropout == 0);
    EXPECT_EQ(torch::equal(gradient(kept, batch, 0), at_once), dropout == 0);
  }
}

TEST(Lora, ProjectionsWithoutAnAdapterStayAsTheyAre) {
  const data::Batch batch = data::pack(random_sequences({9, 30}, 1));
  for (const std::string& target : configs::Lora{}.targets) {
    Transformer one(tiny_spec({.lora = lora(0, {target})}), torch::kCPU, 5);
    randomise_adapters(one, 3);
    const BlockWeights& block = one.params().block(0);
    int64_t adapters = 0;
    for (const BlockWeight& weight : block_weights(one.spec())) {
      if (weight.adapters == nullptr) continue;
      for (const Adapter& adapter : block.*weight.adapters) adapters += adapter.a.defined() ? 1 : 0;
    }
    EXPECT_EQ(adapters, 1) << target;
    EXPECT_FALSE(torch::equal(logprobs(one, batch), logprobs(one, batch, {.adapters = false}))) << target;
    EXPECT_GT(gradient(one, batch, 0).norm().item<double>(), 0) << target;
  }
}

TEST(Lora, WhatIsSavedIsRestored) {
  const data::Batch batch = data::pack(random_sequences({9, 30}, 1));
  Transformer model(tiny_spec({.lora = lora()}), torch::kCPU, 5);
  randomise_adapters(model, 3);
  checkpoints::StateDict state;
  model.save(state);
  Transformer other(model.spec(), torch::kCPU, 0, {}, Purpose::kInference);
  other.restore(state);
  EXPECT_TRUE(torch::equal(logprobs(model, batch), logprobs(other, batch)));
  state.tensors.erase("model.norm.weight");
  EXPECT_THROW(other.restore(state), std::invalid_argument);
}

TEST(Dropout, LeavesOutItsShareAndScalesTheRest) {
  const data::Batch batch = data::pack(random_sequences({100, 60}, 1));
  const torch::Tensor mask = dropout_mask(batch, 48, 0.25, {1, 2}, {3, 4});
  EXPECT_NEAR(mask.eq(0).to(torch::kFloat64).mean().item<double>(), 0.25, 0.02);
  EXPECT_TRUE(mask.eq(0).logical_or(mask.eq(static_cast<float>(1 / 0.75))).all().item<bool>());
}

TEST(Dropout, DependsOnThePlaceAlone) {
  const data::Batch batch = data::pack(random_sequences({10, 20, 30}, 1));
  const auto mask_of = [](const data::Batch& part, const DropoutKey& key, const DropoutPlace& place) {
    return dropout_mask(part, 10, 0.5, key, place);
  };
  const torch::Tensor whole = mask_of(batch, {1, 2}, {3, 4});
  EXPECT_TRUE(torch::equal(mask_of(data::slice(batch, 1, 3), {1, 2}, {3, 4}), whole.narrow(0, 10, 50)));
  for (const torch::Tensor& other : {mask_of(batch, {0, 2}, {3, 4}), mask_of(batch, {1, 0}, {3, 4}),
                                     mask_of(batch, {1, 2}, {0, 4}), mask_of(batch, {1, 2}, {3, 0})}) {
    EXPECT_FALSE(torch::equal(other, whole));
  }
}

}  // namespace
}  // namespace terse::trainer
