// Opens the training and validation tokens that the `data` section of a config names.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "configs/run_config.h"
#include "data/sources.h"
#include "data/store/token_source.h"
#include "data/tokenizers/tokenizer.h"

namespace terse::data {

struct Corpus {
  TokenRange train;
  TokenRange val;  // empty (false in a condition) when data.val is empty and data.val_fraction is 0
  std::shared_ptr<const Tokenizer> tokenizer;
  Sources sources;                 // the files that these tokens come from
  std::vector<std::string> notes;  // messages for the user: which file is gone, and what was read instead
};

struct CorpusOptions {
  Sources sources = {};    // from an earlier start: its token store replaces a text that is gone
  bool unchanged = false;  // the files must match `sources`, because the run has trained on them
  Progress progress = {};  // called while text or a store is read
};

// Opens data.train and data.val. A text file is first converted to a token store in `cache_dir`. The name of the store
// is a hash of text, tokenizer and separator, so later runs and other ranks reuse it. A damaged store is rebuilt.
// Without data.val, the last val_fraction of the training tokens is held out. The cut may fall inside a document.
// Throws ConfigError (missing or changed file, another tokenizer, too few tokens: with the key and both values),
// DataError and DiskError. An exception of `progress` aborts a long read and is passed on.
Corpus open_corpus(const configs::Data& data, std::shared_ptr<const Tokenizer> tokenizer,
                   const std::filesystem::path& cache_dir, const CorpusOptions& options = {});

}  // namespace terse::data
