// The resolved shape of a transformer: configs::Model with every "0: derived" filled in, and the vocabulary.
#pragma once

#include <cstdint>

#include "configs/run_config.h"

namespace terse::trainer {

struct ModelSpec {
  int64_t vocab = 0;       // V
  int64_t layers = 0;      // L
  int64_t width = 0;       // D
  int64_t heads = 0;       // H
  int64_t kv_heads = 0;    // K
  int64_t head_width = 0;  // C
  int64_t ffn_width = 0;   // F
  int64_t context = 0;     // longest sequence, tokens
  double rope_theta = 0;
  double norm_eps = 0;
  bool qk_norm = false;
  bool qkv_bias = false;
  bool tie_embeddings = false;
  double init_std = 0;
  bool bf16 = false;
  bool activation_checkpointing = false;

  int64_t qkv_width() const { return (heads + 2 * kv_heads) * head_width; }
  int64_t attention_width() const { return heads * head_width; }
  double attention_scale() const;
};

// Derives the shape from the config. Throws std::invalid_argument when the shape is impossible.
ModelSpec resolve(const configs::Model& model, int64_t vocab);

}  // namespace terse::trainer
