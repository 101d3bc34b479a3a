// Tokenizers from configs, definitions and files; what `terse tokenizer` needs.
#pragma once

#include <filesystem>
#include <functional>

#include "base/progress.h"
#include "configs/run_config.h"
#include "data/tokenizer.h"

namespace terse::data {

// From Tokenizer::definition(). Throws DataError prefixed with `origin` (a file name, say) when it is not one.
std::shared_ptr<const Tokenizer> parse_tokenizer(std::string_view definition, const std::string& origin);

// A definition in a file of its own. Written to a temporary name, synced and renamed. Throws DataError, DiskError.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path);
void save_tokenizer(const std::filesystem::path& path, const Tokenizer& tokenizer);

// The tokenizer that a config asks for. `train` is data.train: a text file, a token store, or empty.
//   auto: the one inside the token store, else byte (a task's own tokenizer is the caller's business);
//   byte; char: from config.path, else from the token store, else the characters of the text file without `separator`.
// Throws ConfigError when the config cannot be met, DataError when a file is at fault.
std::shared_ptr<const Tokenizer> make_tokenizer(const configs::Tokenizer& config,
                                                const std::filesystem::path& train = {},
                                                const std::string& separator = {}, const Progress& progress = {});

// Vocabulary of the UTF-8 text files, read in pieces; `separator` does not count as text. Throws DataError naming file,
// line and byte where a file is not UTF-8, and when there is no character at all.
std::shared_ptr<const Tokenizer> train_char_tokenizer(const std::vector<std::filesystem::path>& files,
                                                      const std::string& separator = {}, const Progress& progress = {});

}  // namespace terse::data
