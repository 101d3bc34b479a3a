// Compares the declared tensors of a block with those that Llama, Qwen2 and Qwen3 have in Hugging Face's checkpoints.
#include "trainer/model/block_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/tiny_model.h"
#include "trainer/model/param_layout.h"

namespace terse::trainer {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

// 4 heads and 2 key/value heads of size 16, hidden size 48, feed-forward size 80.
const Shapes kLlama = {{"input_layernorm.weight", {48}},      {"post_attention_layernorm.weight", {48}},
                       {"self_attn.q_proj.weight", {64, 48}}, {"self_attn.k_proj.weight", {32, 48}},
                       {"self_attn.v_proj.weight", {32, 48}}, {"self_attn.o_proj.weight", {48, 64}},
                       {"mlp.gate_proj.weight", {80, 48}},    {"mlp.up_proj.weight", {80, 48}},
                       {"mlp.down_proj.weight", {48, 80}}};

Shapes with(Shapes shapes, const Shapes& more) {
  shapes.insert(more.begin(), more.end());
  return shapes;
}

// Returns the tensors that the layout declares for the second block.
Shapes block_of(const ModelSpec& spec) {
  Shapes shapes;
  const std::string prefix = "model.layers.1.";
  for (const ParamInfo& info : ParamLayout(spec).infos)
    if (info.name.starts_with(prefix)) shapes[info.name.substr(prefix.size())] = info.shape;
  return shapes;
}

TEST(BlockWeights, AreThoseOfTheModelFamilies) {
  EXPECT_EQ(block_of(support::tiny_spec()), kLlama);
  EXPECT_EQ(block_of(support::tiny_spec({.qkv_bias = true})),
            with(kLlama,
                 {{"self_attn.q_proj.bias", {64}}, {"self_attn.k_proj.bias", {32}}, {"self_attn.v_proj.bias", {32}}}));
  EXPECT_EQ(block_of(support::tiny_spec({.qk_norm = true})),
            with(kLlama, {{"self_attn.q_norm.weight", {16}}, {"self_attn.k_norm.weight", {16}}}));
}

TEST(BlockWeights, MatricesDecayAndComeFirst) {
  const ModelSpec spec = support::tiny_spec({.qk_norm = true, .qkv_bias = true});
  const ParamLayout layout(spec);
  const ParamUnit& block = layout.units[1];
  EXPECT_EQ(block.decayed_end - block.begin, 64 * 48 + 2 * 32 * 48 + 48 * 64 + 3 * 80 * 48);
  EXPECT_EQ(block.end - block.decayed_end, 2 * 48 + 64 + 2 * 32 + 2 * 16);
}

TEST(BlockWeights, TransformTouchesEveryDeclaredTensorAndNoOther) {
  const std::vector<BlockWeight> declared = block_weights(support::tiny_spec({.qk_norm = true}));
  BlockWeights from;
  for (const BlockWeight& weight : declared) from.*weight.member = torch::ones(weight.shape());
  const BlockWeights to = transform(
      declared, from, [](const torch::Tensor& t) { return t * 2; }, [](const torch::Tensor& t) { return t * 3; });
  for (const BlockWeight& weight : declared) {
    const torch::Tensor& tensor = to.*weight.member;
    EXPECT_EQ(tensor.sizes(), weight.shape());
    EXPECT_EQ(tensor.mean().item<double>(), weight.is_matrix() ? 2 : 3) << weight.parts.front().name;
  }
  EXPECT_FALSE(to.qkv_bias.defined());
}

}  // namespace
}  // namespace terse::trainer
