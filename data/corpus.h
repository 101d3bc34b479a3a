// Opens the training and validation tokens that the `data` section of a config names.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "data/store/store_cache.h"
#include "data/tokenizers/tokenizer.h"

namespace terse::data {

struct Corpus {
  TokenRange train;
  TokenRange val;  // empty (false in a condition) when data.val is empty and data.val_fraction is 0
  std::shared_ptr<const Tokenizer> tokenizer;
  Sources sources;                 // the files that these tokens come from
  std::vector<std::string> notes;  // messages for the user: which file is gone, bad lines, documents in both parts
};

using CorpusOptions = CacheOptions;

// Opens data.train and data.val. A text file and a JSON Lines file (*.jsonl) are first converted to a token store in
// `cache_dir`. The name of the store is a hash of text, tokenizer and separator, so later runs and other ranks reuse
// it. A damaged store is rebuilt. The bad lines of JSON Lines are in kBadLinesFile there. Without data.val, the last
// val_fraction of the training tokens is held out; the cut may fall inside a document. Of JSON Lines, that share of the
// documents is held out instead, chosen by a hash of their text.
// Throws ConfigError (missing or changed file, another tokenizer, too few tokens: with the key and both values),
// DataError (also for too many bad lines) and DiskError. An exception of `progress` aborts a long read and is passed
// on.
Corpus open_corpus(const configs::Data& data, std::shared_ptr<const Tokenizer> tokenizer,
                   const std::filesystem::path& cache_dir, const CorpusOptions& options = {});

}  // namespace terse::data
