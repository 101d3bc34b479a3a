// Fills in the derived sizes of a model and checks them.
#include "trainer/model/spec.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

namespace terse::trainer {

double ModelSpec::attention_scale() const {
  return 1.0 / std::sqrt(static_cast<double>(head_dim));
}

ModelSpec resolve(const configs::Model& model, int64_t vocab) {
  ModelSpec spec;
  spec.vocab = vocab;
  spec.layers = model.layers;
  spec.hidden_size = model.hidden_size;
  spec.heads = model.heads;
  spec.kv_heads = model.kv_heads > 0 ? model.kv_heads : model.heads;
  spec.head_dim = model.head_dim > 0 ? model.head_dim : model.hidden_size / model.heads;
  spec.intermediate_size =
      model.intermediate_size > 0 ? model.intermediate_size : (model.hidden_size * 8 / 3 + 63) / 64 * 64;
  spec.max_seq_len = model.max_seq_len;
  spec.rope_theta = model.rope_theta;
  spec.norm_eps = model.norm_eps;
  spec.qk_norm = model.qk_norm;
  spec.qkv_bias = model.qkv_bias;
  spec.tie_embeddings = model.tie_embeddings;
  spec.init_std = model.init_std;
  spec.bf16 = model.precision == "bf16";
  spec.activation_checkpointing = model.activation_checkpointing;
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

}  // namespace terse::trainer
