// From the `data` and `tokenizer` sections of a config to training and validation tokens.
#pragma once

#include <filesystem>
#include <functional>

#include "configs/run_config.h"
#include "data/token_source.h"
#include "data/tokenizer.h"

namespace terse::data {

struct Corpus {
  TokenRange train;
  TokenRange val;  // false in a condition when data.val is empty and data.val_fraction is 0
  std::shared_ptr<const Tokenizer> tokenizer;
};

// Opens data.train and data.val. A text file is first made a token store in `cache_dir`, named by the hash of text,
// tokenizer and separator: later runs and other ranks use it again, and a damaged one is rebuilt. Without data.val the
// last val_fraction of the training tokens is held out; the cut falls between two tokens, wherever that is in a
// document. Throws configs::ConfigError (missing file, another tokenizer, too few tokens: with the key and both
// values), DataError, DiskError.
Corpus open_corpus(const configs::Data& data, const configs::Tokenizer& tokenizer,
                   const std::filesystem::path& cache_dir,
                   const std::function<void(int64_t done, int64_t total)>& progress = {});
// The same for a tokenizer that is given, e.g. a task's.
Corpus open_corpus(const configs::Data& data, std::shared_ptr<const Tokenizer> tokenizer,
                   const std::filesystem::path& cache_dir,
                   const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace terse::data
