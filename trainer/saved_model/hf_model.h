// A model in a folder of Hugging Face: config.json beside model.safetensors, or beside shards with their index.
#pragma once

#include <memory>

#include "trainer/saved_model/model_files.h"

namespace terse::trainer {

bool is_hf_model(const std::filesystem::path& path);
std::unique_ptr<ModelFiles> open_hf_model(const std::filesystem::path& path);

}  // namespace terse::trainer
