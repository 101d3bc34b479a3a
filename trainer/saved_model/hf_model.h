// A model in a folder of Hugging Face: config.json beside model.safetensors, or beside shards with their index.
#pragma once

#include <memory>
#include <string_view>

#include "trainer/saved_model/model_files.h"

namespace terse::trainer {

// Whether a file of this name is one of a model in such a folder: the weights, or what tells their shape, the tokenizer
// or the chat template.
bool is_hf_file(std::string_view name);

bool is_hf_model(const std::filesystem::path& path);
std::unique_ptr<ModelFiles> open_hf_model(const std::filesystem::path& path);

}  // namespace terse::trainer
