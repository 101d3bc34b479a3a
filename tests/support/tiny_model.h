// A model that is small enough for exhaustive tests, and random batches for it.
#pragma once

#include <vector>

#include "base/philox.h"
#include "data/pack.h"
#include "trainer/model/transformer.h"

namespace terse::support {

struct TinyShape {
  bool qk_norm = false, qkv_bias = false, tied = true, recompute = false;
  int64_t kv_heads = 2;
  configs::Lora lora = {};
  const char* precision = "fp32";
  const char* kv_cache_dtype = "auto";
};

inline trainer::ModelSpec tiny_spec(const TinyShape& shape = {}, int64_t vocab = 16) {
  configs::Model model;
  model.layers = 2;
  model.hidden_size = 48;
  model.heads = 4;
  model.head_dim = 16;
  model.kv_heads = shape.kv_heads;
  model.intermediate_size = 80;
  model.max_seq_len = 160;
  model.init_std = 0.15;
  model.qk_norm = shape.qk_norm;
  model.qkv_bias = shape.qkv_bias;
  model.tie_embeddings = shape.tied;
  model.activation_checkpointing = shape.recompute;
  model.precision = shape.precision;
  model.kv_cache_dtype = shape.kv_cache_dtype;
  return trainer::resolve(model, vocab, shape.lora);
}

// Sequences of these lengths with random tokens. Only the second half of each sequence has loss weights.
inline std::vector<data::Sequence> random_sequences(const std::vector<int64_t>& lengths, uint64_t seed,
                                                    int64_t vocab = 16) {
  std::vector<data::Sequence> sequences;
  for (size_t s = 0; s < lengths.size(); ++s) {
    data::Sequence sequence;
    for (int64_t i = 0; i < lengths[s]; ++i) {
      const auto word = philox(seed, RandomStream::kShuffle, s, static_cast<uint64_t>(i))[0];
      sequence.tokens.push_back(static_cast<int32_t>(uniform_below(word, static_cast<uint32_t>(vocab))));
      sequence.weights.push_back(i > 0 && 2 * i >= lengths[s] ? 1.0f : 0.0f);
    }
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

// Gives adapters random numbers, also where they begin as zeros.
inline void randomise_adapters(trainer::Transformer& model, uint64_t seed) {
  torch::NoGradGuard no_grad;
  torch::Tensor& master = model.params().master();
  for (int64_t i = 0; i < master.numel(); ++i)
    master[i] = 0.4 * (uniform01(philox(seed, RandomStream::kShuffle, 99, static_cast<uint64_t>(i))[0]) - 0.5);
  model.params().publish();
}

}  // namespace terse::support
