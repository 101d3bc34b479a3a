// Builds a token store from text files and JSON Lines, for runs and for `terse data build`. It reads the files in
// pieces, so they may be larger than memory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/store/token_store.h"

namespace terse::data {

struct BuildOptions {
  // Splits a text file into documents and is not part of them. Empty documents are left out. With an empty separator
  // each text file is one document.
  std::string separator = {};
  bool overwrite = false;  // replace an existing output
  Progress progress = {};  // bytes of text; also called at the end
  // Share of the lines of JSON Lines inputs that may be bad.
  double max_bad_lines = 0.01;
  // The file that gets the bad lines (jsonl/bad_lines.h); empty: "<output>.bad_lines.jsonl".
  std::filesystem::path bad_lines = {};
  // This share of the documents of JSON Lines goes to the store `held_out` instead. A hash of their text chooses them.
  // So equal documents stay together, and new ones move no other.
  double held_out_share = 0;
  std::filesystem::path held_out = {};
};

// Each line of an input *.jsonl is a document: the value of "text". It is encoded by several threads, without any
// effect on the result. With a separator, with several inputs or with JSON Lines, every document ends with the
// tokenizer's <eos> if it has one. The store appears under `output` only when it is complete and on disk, and a failed
// build leaves nothing behind but its bad lines. Throws DataError that names file, line and byte of a text file that
// cannot be encoded, or for too many bad lines, or when there is no document; and DiskError when a file cannot be read
// or written.
StoreInfo build_store(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& output,
                      const Tokenizer& tokenizer, const BuildOptions& options = {});

}  // namespace terse::data
