// Makes tokenizers from configs, definitions and files.
#pragma once

#include <filesystem>
#include <functional>

#include "base/progress.h"
#include "configs/run_config.h"
#include "data/tokenizers/tokenizer.h"

namespace terse::data {

// Makes a tokenizer from Tokenizer::definition(), which may also be a tokenizer.json of Hugging Face. Throws DataError
// when `definition` is not one. The message starts with `origin`, e.g. a file name.
std::shared_ptr<const Tokenizer> parse_tokenizer(std::string_view definition, const std::string& origin);

// Load and save a definition as a file of its own. save_tokenizer() replaces the file only when the new one is complete
// and on disk. load_tokenizer() also takes a Hugging Face folder (hf/hf_folder.h). It throws DataError and DiskError,
// and save_tokenizer() throws DiskError.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path);
void save_tokenizer(const std::filesystem::path& path, const Tokenizer& tokenizer);

// Returns the tokenizer that a config selects. `train` is data.train: a text file, a token store, or empty. The kinds
// are:
//   auto: the tokenizer of the token store, else byte (the caller provides a task's own tokenizer)
//   byte: always byte
//   bpe: from config.path, a tokenizer.json or a Hugging Face folder, else from the token store
//   char: from config.path, else from the token store, else the characters of the text file without `separator`
// Throws ConfigError when the config cannot be met, DataError when a file is at fault.
std::shared_ptr<const Tokenizer> make_tokenizer(const configs::Tokenizer& config,
                                                const std::filesystem::path& train = {},
                                                const std::string& separator = {}, const Progress& progress = {});

// Makes a tokenizer from the characters of UTF-8 text files, which it reads in pieces. `separator` does not count as
// text. Throws DataError that names file, line and byte where a file is not UTF-8. Also throws DataError when there is
// no character at all.
std::shared_ptr<const Tokenizer> train_char_tokenizer(const std::vector<std::filesystem::path>& files,
                                                      const std::string& separator = {}, const Progress& progress = {});

}  // namespace terse::data
