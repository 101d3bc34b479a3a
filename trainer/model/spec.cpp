// Fills in the derived sizes of a model and checks them.
#include "trainer/model/spec.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

namespace terse::trainer {

double ModelSpec::attention_scale() const {
  return 1.0 / std::sqrt(static_cast<double>(head_width));
}

ModelSpec resolve(const configs::Model& model, int64_t vocab) {
  ModelSpec spec;
  spec.vocab = vocab;
  spec.layers = model.layers;
  spec.width = model.width;
  spec.heads = model.heads;
  spec.kv_heads = model.kv_heads > 0 ? model.kv_heads : model.heads;
  spec.head_width = model.head_width > 0 ? model.head_width : model.width / model.heads;
  spec.ffn_width = model.ffn_width > 0 ? model.ffn_width : (model.width * 8 / 3 + 63) / 64 * 64;
  spec.context = model.context;
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
  if (spec.head_width % 2 != 0) {
    throw std::invalid_argument(
        fmt::format("the head width must be even for rotary positions, got {}", spec.head_width));
  }
  return spec;
}

}  // namespace terse::trainer
