// Text files to a token store; what `terse data build` runs. Reads in pieces, so files may be larger than memory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/token_store.h"

namespace terse::data {

struct BuildOptions {
  // Splits the text into documents and is not part of them; empty documents are left out. Empty: each file is one
  // document.
  std::string separator = {};
  bool overwrite = false;  // replace an existing output
  Progress progress = {};  // bytes of text; also called at the end
};

// With a separator, or several inputs, every document is ended by the tokenizer's <eos>, if it has one. The store
// appears under `output` only when it is complete and on disk; a failed build leaves nothing behind. Throws DataError
// naming file, line and byte of text that cannot be encoded; DiskError when the disk refuses.
StoreInfo build_store(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& output,
                      const Tokenizer& tokenizer, const BuildOptions& options = {});

}  // namespace terse::data
