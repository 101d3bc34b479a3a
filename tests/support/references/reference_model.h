// A second implementation of the transformer, from the papers and in double. It uses only operations of PyTorch, no
// code of terse, on the tensors of a checkpoint under their Hugging Face names. It takes one sequence at a time,
// without packing, KV cache or chunks.
//
// RMSNorm: arXiv 1910.07467. RoPE: arXiv 2104.09864, with the halves paired as in Llama of Hugging Face. Grouped
// queries: arXiv 2305.13245. SwiGLU: arXiv 2002.05202. QK-norm before RoPE: Qwen3, arXiv 2505.09388.
#pragma once

#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/types.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "checkpoints/state_dict.h"
#include "trainer/model/spec.h"

namespace terse::support {

class ReferenceModel {
 public:
  ReferenceModel(const trainer::ModelSpec& spec, const checkpoints::StateDict& state) : spec_(spec) {
    for (const auto& [name, shard] : state.tensors)
      weights_[name] = shard.data.reshape(shard.shape).detach().to(torch::kFloat64).clone().requires_grad_(true);
  }

  // tokens [T] of one sequence from position 0 -> logits [T, V], differentiable.
  torch::Tensor logits(const std::vector<int64_t>& tokens) const {
    torch::Tensor x = at("model.embed_tokens.weight").index_select(0, torch::tensor(tokens));
    for (int64_t layer = 0; layer < spec_.layers; ++layer) {
      const std::string block = "model.layers." + std::to_string(layer) + ".";
      x = x + attention(norm(x, at(block + "input_layernorm.weight")), block + "self_attn.");
      x = x + feed_forward(norm(x, at(block + "post_attention_layernorm.weight")), block + "mlp.");
    }
    x = norm(x, at("model.norm.weight"));
    return x.matmul(at(spec_.tie_embeddings ? "model.embed_tokens.weight" : "lm_head.weight").t());
  }
  torch::Tensor log_probs(const std::vector<int64_t>& tokens) const { return logits(tokens).log_softmax(-1); }

  // By name. backward() stores the gradients in them.
  const std::map<std::string, torch::Tensor>& weights() const { return weights_; }

 private:
  const torch::Tensor& at(const std::string& name) const { return weights_.at(name); }

  torch::Tensor norm(const torch::Tensor& x, const torch::Tensor& weight) const {
    return x * (x.square().mean(-1, true) + spec_.norm_eps).rsqrt() * weight;
  }

  torch::Tensor project(const torch::Tensor& x, const std::string& name) const {
    const torch::Tensor y = x.matmul(at(name + ".weight").t());
    return spec_.qkv_bias ? y + at(name + ".bias") : y;
  }

  // [T, heads * C] -> [heads, T, C]
  torch::Tensor heads(const torch::Tensor& x, int64_t count) const {
    return x.view({x.size(0), count, spec_.head_dim}).transpose(0, 1);
  }

  // Applies RoPE to queries or keys [heads, T, C].
  torch::Tensor turned(const torch::Tensor& x) const {
    const int64_t half = spec_.head_dim / 2;
    torch::Tensor frequency =
        torch::pow(spec_.rope_theta, -torch::arange(half, torch::kFloat64) / static_cast<double>(half));
    if (const configs::RopeScaling& scaling = spec_.rope_scaling; scaling.type == "llama3") {
      // The share that stays rises from 0 to 1 between the two wavelengths.
      const auto original = static_cast<double>(scaling.original_max_seq_len);
      const torch::Tensor wavelength = 2 * M_PI / frequency;
      const double longest = original / scaling.low_freq_factor, shortest = original / scaling.high_freq_factor;
      const torch::Tensor kept =
          ((1 / wavelength - 1 / longest) / (1 / shortest - 1 / longest)).clamp(/*min=*/0.0, /*max=*/1.0);
      frequency = kept * frequency + (1 - kept) * (frequency / scaling.factor);
    }
    const torch::Tensor angle = torch::outer(torch::arange(x.size(1), torch::kFloat64), frequency);
    const torch::Tensor first = x.slice(-1, 0, half), second = x.slice(-1, half);
    return torch::cat({first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()}, -1);
  }

  torch::Tensor attention(const torch::Tensor& x, const std::string& name) const {
    torch::Tensor q = heads(project(x, name + "q_proj"), spec_.heads);
    torch::Tensor k = heads(project(x, name + "k_proj"), spec_.kv_heads);
    const torch::Tensor v = heads(project(x, name + "v_proj"), spec_.kv_heads);
    if (spec_.qk_norm) {
      q = norm(q, at(name + "q_norm.weight"));
      k = norm(k, at(name + "k_norm.weight"));
    }
    const int64_t queries = spec_.heads / spec_.kv_heads;  // heads that share a key head
    const torch::Tensor y =
        at::scaled_dot_product_attention(turned(q), turned(k).repeat_interleave(queries, 0),
                                         v.repeat_interleave(queries, 0), {}, /*dropout_p=*/0, /*is_causal=*/true);
    return y.transpose(0, 1).reshape({x.size(0), spec_.heads * spec_.head_dim}).matmul(at(name + "o_proj.weight").t());
  }

  torch::Tensor feed_forward(const torch::Tensor& x, const std::string& name) const {
    const torch::Tensor gate = x.matmul(at(name + "gate_proj.weight").t()),
                        up = x.matmul(at(name + "up_proj.weight").t());
    return (gate * gate.sigmoid() * up).matmul(at(name + "down_proj.weight").t());
  }

  trainer::ModelSpec spec_;
  std::map<std::string, torch::Tensor> weights_;
};

}  // namespace terse::support
