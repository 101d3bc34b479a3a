// The resolved shape of a transformer: configs::Model with every "0: derived" filled in, and the vocabulary.
#pragma once

#include <cstdint>
#include <vector>

#include "configs/run_config.h"

namespace terse::trainer {

struct ModelSpec {
  int64_t vocab = 0;              // V
  int64_t layers = 0;             // L
  int64_t hidden_size = 0;        // D
  int64_t heads = 0;              // H
  int64_t kv_heads = 0;           // K
  int64_t head_dim = 0;           // C
  int64_t intermediate_size = 0;  // F
  int64_t max_seq_len = 0;        // longest sequence, tokens
  double rope_theta = 0;
  configs::RopeScaling rope_scaling = {};
  double norm_eps = 0;
  bool qk_norm = false;
  bool qkv_bias = false;
  bool tie_embeddings = false;
  double init_std = 0;
  bool bf16 = false;     // weights
  bool bf16_kv = false;  // keys and values, in training as in the cache
  bool activation_checkpointing = false;
  configs::Lora lora = {};  // rank 0: no adapters, and all weights are trained

  int64_t qkv_size() const { return (heads + 2 * kv_heads) * head_dim; }
  int64_t attention_size() const { return heads * head_dim; }
  double attention_scale() const;
  bool has_adapters() const { return lora.rank > 0; }
  double adapter_scale() const;  // alpha / rank
};

// Returns the frequencies of rotary positions in radians per position, head_dim / 2 of them: theta^(-2i/head_dim) (Su
// et al., "RoFormer", 2021, arXiv 2104.09864), after the model's scaling. Llama 3 divides the frequencies whose
// wavelength is longer than original_max_seq_len / low_freq_factor by `factor`, keeps those whose wavelength is shorter
// than original_max_seq_len / high_freq_factor, and blends between the two in the wavelengths between them (Grattafiori
// et al., "The Llama 3 Herd of Models", 2024, arXiv 2407.21783; the blend is that of its reference code).
std::vector<double> rope_frequencies(const ModelSpec& spec);

// Derives the shape from the config. Throws std::invalid_argument when the shape is impossible.
ModelSpec resolve(const configs::Model& model, int64_t vocab, const configs::Lora& lora = {});
// Returns the options that resolve() turns into this shape.
configs::Model options_of(const ModelSpec& spec);

}  // namespace terse::trainer
