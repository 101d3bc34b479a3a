// A model's shape as a config.json with the keys of Hugging Face, so that other programs know what the weights are.
//
// A shape of Llama, Qwen2 (qkv_bias) or Qwen3 (qk_norm) gets that model_type. A shape with both has no counterpart
// there: its model_type is "terse", and it has the key "qk_norm" beside "attention_bias".
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "trainer/model/spec.h"

namespace terse::trainer {

// `bos` and `eos` are token ids; below 0: none. The text of the JSON reads back to an equal shape, to the last bit.
// activation_checkpointing is no part of a shape and is left out.
nlohmann::json to_hf_config(const ModelSpec& spec, int32_t bos = -1, int32_t eos = -1);

// Throws DataError, which names the key, for a key that is missing, of another type, out of range, or that asks for
// something that this model does not do: scaled rotary positions, sliding windows, other activations, other biases.
ModelSpec spec_from_hf_config(const nlohmann::json& config);

}  // namespace terse::trainer
