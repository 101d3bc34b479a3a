// Builds a token store from text files, for `terse data build`. It reads the files in pieces, so they may be larger
// than memory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/store/token_store.h"

namespace terse::data {

struct BuildOptions {
  // Splits the text into documents and is not part of them. Empty documents are left out. With an empty separator each
  // file is one document.
  std::string separator = {};
  bool overwrite = false;  // replace an existing output
  Progress progress = {};  // bytes of text; also called at the end
};

// With a separator, or with several inputs, every document ends with the tokenizer's <eos> if it has one. The store
// appears under `output` only when it is complete and on disk, and a failed build leaves nothing behind. Throws
// DataError that names file, line and byte of text that cannot be encoded, and DiskError when a file cannot be read or
// written.
StoreInfo build_store(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& output,
                      const Tokenizer& tokenizer, const BuildOptions& options = {});

}  // namespace terse::data
