// Fills in the derived sizes of a model and checks them.
#include "trainer/model/spec.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <stdexcept>

#include "base/errors.h"

namespace terse::trainer {

double ModelSpec::attention_scale() const {
  return 1.0 / std::sqrt(static_cast<double>(head_dim));
}

double ModelSpec::adapter_scale() const {
  return lora.alpha / static_cast<double>(lora.rank);
}

namespace {

double llama3_frequency(double frequency, const configs::RopeScaling& scaling) {
  const double turns = static_cast<double>(scaling.original_max_seq_len) * frequency / (2 * std::numbers::pi);
  if (turns < scaling.low_freq_factor) return frequency / scaling.factor;
  if (turns > scaling.high_freq_factor) return frequency;
  const double kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - kept) * frequency / scaling.factor + kept * frequency;
}

}  // namespace

std::vector<double> rope_frequencies(const ModelSpec& spec) {
  std::vector<double> frequencies;
  for (int64_t i = 0; i < spec.head_dim / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(spec.head_dim);
    const double frequency = std::pow(spec.rope_theta, exponent);
    frequencies.push_back(spec.rope_scaling.type == "llama3" ? llama3_frequency(frequency, spec.rope_scaling)
                                                             : frequency);
  }
  return frequencies;
}

ModelSpec resolve(const configs::Model& model, int64_t vocab, const configs::Lora& lora) {
  ModelSpec spec;
  spec.vocab = model.vocab_size > 0 ? model.vocab_size : vocab;
  spec.layers = model.layers;
  spec.hidden_size = model.hidden_size;
  spec.heads = model.heads;
  spec.kv_heads = model.kv_heads > 0 ? model.kv_heads : model.heads;
  spec.head_dim = model.head_dim > 0 ? model.head_dim : model.hidden_size / model.heads;
  spec.intermediate_size =
      model.intermediate_size > 0 ? model.intermediate_size : (model.hidden_size * 8 / 3 + 63) / 64 * 64;
  spec.max_seq_len = model.max_seq_len;
  spec.rope_theta = model.rope_theta;
  spec.rope_scaling = model.rope_scaling;
  spec.norm_eps = model.norm_eps;
  spec.qk_norm = model.qk_norm;
  spec.qkv_bias = model.qkv_bias;
  spec.tie_embeddings = model.tie_embeddings;
  spec.init_std = model.init_std;
  spec.bf16 = model.precision == "bf16";
  spec.bf16_kv = model.kv_cache_dtype == "auto" ? spec.bf16 : model.kv_cache_dtype == "bf16";
  spec.activation_checkpointing = model.activation_checkpointing;
  spec.lora = lora;
  if (vocab > spec.vocab) {
    const std::string source = model.init.empty() ? "" : fmt::format(" (model.init: {})", model.init);
    throw ConfigError(fmt::format("model.vocab_size: is {}, but the tokenizer of the run has {} tokens{}", spec.vocab,
                                  vocab, source));
  }
  if (vocab < 2)
    throw std::invalid_argument(fmt::format("a model needs a vocabulary of at least 2 tokens, got {}", vocab));
  if (spec.heads % spec.kv_heads != 0) {
    throw std::invalid_argument(
        fmt::format("model.heads ({}) must be a multiple of model.kv_heads ({})", spec.heads, spec.kv_heads));
  }
  if (spec.head_dim % 2 != 0) {
    throw std::invalid_argument(fmt::format("the head size must be even for rotary positions, got {}", spec.head_dim));
  }
  return spec;
}

configs::Model options_of(const ModelSpec& spec) {
  configs::Model model;
  model.vocab_size = spec.vocab;
  model.layers = spec.layers;
  model.hidden_size = spec.hidden_size;
  model.heads = spec.heads;
  model.kv_heads = spec.kv_heads;
  model.head_dim = spec.head_dim;
  model.intermediate_size = spec.intermediate_size;
  model.max_seq_len = spec.max_seq_len;
  model.rope_theta = spec.rope_theta;
  model.rope_scaling = spec.rope_scaling;
  model.norm_eps = spec.norm_eps;
  model.qk_norm = spec.qk_norm;
  model.qkv_bias = spec.qkv_bias;
  model.tie_embeddings = spec.tie_embeddings;
  model.init_std = spec.init_std;
  model.precision = spec.bf16 ? "bf16" : "fp32";
  if (spec.bf16_kv != spec.bf16) model.kv_cache_dtype = spec.bf16_kv ? "bf16" : "fp32";
  model.activation_checkpointing = spec.activation_checkpointing;
  return model;
}

}  // namespace terse::trainer
