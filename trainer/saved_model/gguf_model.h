// A model in a GGUF file of llama.cpp: the architectures llama (Llama, Mistral), qwen2 and qwen3. Quantized weights
// become fp32.
//
// Two things differ from Hugging Face's layout. Tensors have other names. And for llama, the rows of the query and key
// projections are in another order, because llama.cpp rotates neighbouring elements there, and Hugging Face rotates
// element i with element i + head_dim / 2.
#pragma once

#include <memory>
#include <string_view>

#include "trainer/saved_model/model_files.h"

namespace terse::trainer {

// The tensor that divides the frequencies of rotary positions, in a file of llama.
inline constexpr std::string_view kGgufRopeFactors = "rope_freqs.weight";

bool is_gguf_file(const std::filesystem::path& path);
std::unique_ptr<ModelFiles> open_gguf_model(const std::filesystem::path& path);

// Returns the name in a GGUF file of a tensor of Hugging Face's, such as "blk.3.attn_q.weight" of
// "model.layers.3.self_attn.q_proj.weight". Throws std::invalid_argument for the name of no tensor of our models.
std::string gguf_name(const std::string& hf_name);

// Returns the row of a query or key projection in a GGUF file of llama that holds row `row` of Hugging Face's. Rows
// count from the first one of all heads.
int64_t gguf_row_of_llama(int64_t row, int64_t head_dim);

}  // namespace terse::trainer
