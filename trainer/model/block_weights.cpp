// The declaration itself. Checkpoints and recorded runs depend on its order: random initial weights are drawn by
// offset.
#include "trainer/model/block_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

namespace terse::trainer {

namespace {

constexpr std::string_view kAdapters = "base_model.model.";  // before the names of the model's own tensors

}  // namespace

int64_t BlockWeight::rows() const {
  int64_t rows = 0;
  for (const Part& part : parts) rows += part.rows;
  return rows;
}

std::vector<int64_t> BlockWeight::shape() const {
  return is_matrix() ? std::vector<int64_t>{rows(), columns} : std::vector<int64_t>{rows()};
}

std::vector<BlockWeight> block_weights(const ModelSpec& spec) {
  using W = BlockWeights;
  // The matrices that write to the residual stream start smaller, because 2 L of them add up (GPT-2).
  const double std = spec.init_std, residual_std = std / std::sqrt(2.0 * static_cast<double>(spec.layers));
  const int64_t d = spec.hidden_size, q = spec.attention_size(), kv = spec.kv_heads * spec.head_dim,
                f = spec.intermediate_size;
  std::vector<BlockWeight> weights = {
      {&W::qkv,
       {{"self_attn.q_proj.weight", q}, {"self_attn.k_proj.weight", kv}, {"self_attn.v_proj.weight", kv}},
       d,
       std,
       0,
       &W::qkv_adapters},
      {&W::out, {{"self_attn.o_proj.weight", d}}, q, residual_std, 0, &W::out_adapters},
      {&W::gate_up, {{"mlp.gate_proj.weight", f}, {"mlp.up_proj.weight", f}}, d, std, 0, &W::gate_up_adapters},
      {&W::down, {{"mlp.down_proj.weight", d}}, f, residual_std, 0, &W::down_adapters},
      {&W::attention_norm, {{"input_layernorm.weight", d}}, 0, 0, 1},
      {&W::ffn_norm, {{"post_attention_layernorm.weight", d}}, 0, 0, 1},
  };
  if (spec.qkv_bias) {
    weights.push_back(
        {&W::qkv_bias, {{"self_attn.q_proj.bias", q}, {"self_attn.k_proj.bias", kv}, {"self_attn.v_proj.bias", kv}}});
  }
  if (spec.qk_norm) {
    weights.push_back({&W::q_norm, {{"self_attn.q_norm.weight", spec.head_dim}}, 0, 0, 1});
    weights.push_back({&W::k_norm, {{"self_attn.k_norm.weight", spec.head_dim}}, 0, 0, 1});
  }
  return weights;
}

AdapterNames adapter_names(int64_t layer, const BlockWeight::Part& part) {
  // "self_attn.q_proj.weight" -> "self_attn.q_proj"
  const std::string module =
      fmt::format("{}model.layers.{}.{}", kAdapters, layer, part.name.substr(0, part.name.rfind('.')));
  return {fmt::format("{}.lora_A.weight", module), fmt::format("{}.lora_B.weight", module)};
}

bool is_adapter_weight(const std::string& name) {
  return name.starts_with(kAdapters);
}

bool has_adapter(const ModelSpec& spec, const BlockWeight::Part& part) {
  if (!spec.has_adapters() || !part.name.ends_with(".weight")) return false;
  const std::string_view module = std::string_view(part.name).substr(0, part.name.rfind('.'));
  const std::string_view projection = module.substr(module.rfind('.') + 1);
  const std::vector<std::string>& targets = spec.lora.targets;
  return std::find(targets.begin(), targets.end(), projection) != targets.end();
}

BlockWeights without_adapters(BlockWeights weights) {
  for (auto adapters : {&BlockWeights::qkv_adapters, &BlockWeights::out_adapters, &BlockWeights::gate_up_adapters,
                        &BlockWeights::down_adapters})
    (weights.*adapters).clear();
  return weights;
}

}  // namespace terse::trainer
