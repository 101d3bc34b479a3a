// Learns a byte-level BPE vocabulary from text files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/tokenizers/tokenizer.h"

namespace terse::data {

struct BpeTraining {
  int64_t vocab_size = 0;          // ids, with the 256 bytes and the special tokens; fewer if the text gives no more
  std::string pattern = "llama3";  // how text is cut into words: gpt2, llama3 or qwen2
  std::vector<std::string> special_tokens = {"<|endoftext|>"};  // the first one ends a document
  std::string separator;                                        // between documents; it does not count as text
};

// Trains on UTF-8 files, which it reads in pieces. The ids are those of the special tokens, then of the bytes, then of
// the merges. The merges equal those of BpeTrainer in the `tokenizers` library, which breaks ties between equally
// frequent pairs by their ids. definition() of the result is a tokenizer.json. Throws ConfigError where the options
// cannot be met, DataError that names file, line and byte where a file is not UTF-8, and DataError when there is no
// text.
std::shared_ptr<const Tokenizer> train_bpe_tokenizer(const std::vector<std::filesystem::path>& files,
                                                     const BpeTraining& options, const Progress& progress = {});

}  // namespace terse::data
