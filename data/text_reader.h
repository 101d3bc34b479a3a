// Reads text files in blocks and passes on their documents in pieces, so that a file may be larger than memory.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"

namespace terse::data {

struct TextOptions {
  std::string separator;  // between documents, not part of them; empty: one document a file
  std::function<size_t(std::string_view)> split_point;  // same contract as Tokenizer::split_point
  Progress progress;                                    // bytes over all files; may be empty
  size_t block_bytes = size_t{4} << 20;
};

// Calls `use` with the pieces of each document in order. `last` is true for the last piece of a document, which may be
// empty. In a file *.jsonl each line has one document, its "text", and bad lines are skipped. An EncodeError from `use`
// becomes a DataError that names file, line and byte. Throws DataError for a file that is missing, is not a regular
// file or is compressed, and DiskError for one that cannot be read.
void read_documents(const std::vector<std::filesystem::path>& files, const TextOptions& options,
                    const std::function<void(std::string_view piece, bool last)>& use);

}  // namespace terse::data
