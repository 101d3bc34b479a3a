// Loads the tokenizer of a Hugging Face folder: tokenizer.json, and where a text begins and ends, which other files of
// the folder tell.
#pragma once

#include <filesystem>
#include <memory>

#include "data/tokenizers/tokenizer.h"

namespace terse::data {

// Returns whether a folder has a tokenizer.json.
bool is_hf_folder(const std::filesystem::path& folder);

// Loads the tokenizer of a folder. bos() and eos() are the tokens that tokenizer_config.json names, or else
// special_tokens_map.json. eos_ids() has those of "eos_token_id" in generation_config.json, too, or else in
// config.json, as `transformers` ends a response. A folder without these files has what the post-processor of
// tokenizer.json adds, and no other file may name another bos() than it does. Throws DataError that names the file and
// the place in it, and DiskError when a file cannot be read.
std::shared_ptr<const Tokenizer> load_hf_tokenizer(const std::filesystem::path& folder);

}  // namespace terse::data
