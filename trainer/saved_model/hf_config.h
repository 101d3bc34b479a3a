// A model's shape as a config.json with the keys of Hugging Face, which other programs write and read.
//
// A shape of Llama, Qwen2 (qkv_bias) or Qwen3 (qk_norm) gets that model_type. A shape with both has no counterpart
// there: its model_type is "terse", and it has the key "qk_norm" beside "attention_bias". Mistral without a sliding
// window has the shape of Llama, and is written as Llama.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "trainer/model/spec.h"

namespace terse::trainer {

// `bos` is a token id; below 0: none. `eos` are the ids that end a response. The text of the JSON reads back to an
// equal shape, to the last bit. activation_checkpointing is no part of a shape and is left out.
nlohmann::json to_hf_config(const ModelSpec& spec, int32_t bos = -1, const std::vector<int32_t>& eos = {});

// Reads the config.json of Llama, Mistral, Qwen2, Qwen3 and of terse's own checkpoints, with the key names of
// transformers 4 (torch_dtype, rope_theta, rope_scaling) or 5 (dtype, rope_parameters). A key that may be absent has
// the value that transformers gives it. Weights are always read into fp32; `bf16` of the result says whether they are
// stored as bfloat16.
//
// Throws DataError, which names the key, for a key that is missing, of another type, out of range, or that asks for
// something that this model does not do: other scalings of rotary positions than llama3, sliding windows, other
// activations, other biases, quantized weights.
ModelSpec spec_from_hf_config(const nlohmann::json& config);

}  // namespace terse::trainer
