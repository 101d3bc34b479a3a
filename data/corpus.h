// From the `data` and `tokenizer` sections of a config to training and validation tokens.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "configs/run_config.h"
#include "data/sources.h"
#include "data/token_source.h"
#include "data/tokenizer.h"

namespace terse::data {

struct Corpus {
  TokenRange train;
  TokenRange val;  // false in a condition when data.val is empty and data.val_fraction is 0
  std::shared_ptr<const Tokenizer> tokenizer;
  Sources sources;                 // the files that these tokens come from
  std::vector<std::string> notes;  // lines for the user: which file is gone, and what was read in its place
};

struct CorpusOptions {
  Sources sources = {};    // those of an earlier start: the token store made then stands in for a text that is gone
  bool unchanged = false;  // the files must be what `sources` says: the run has trained on them
  Progress progress = {};  // called while text or a store is read
};

// Opens data.train and data.val. A text file is first made a token store in `cache_dir`, named by the hash of text,
// tokenizer and separator: later runs and other ranks use it again, and a damaged one is rebuilt. Without data.val the
// last val_fraction of the training tokens is held out; the cut falls between two tokens, wherever that is in a
// document. Throws ConfigError (missing or changed file, another tokenizer, too few tokens: with the key and
// both values), DataError, DiskError, and what `progress` throws, which is how a long reading is given up.
Corpus open_corpus(const configs::Data& data, std::shared_ptr<const Tokenizer> tokenizer,
                   const std::filesystem::path& cache_dir, const CorpusOptions& options = {});

}  // namespace terse::data
