// Saves and loads the record of a run's input files. With it, a later start detects changed files, and continues
// without a text that is gone.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace terse::data {

// An input file as it was when the run began.
struct Source {
  std::string file;    // its path, as the config gives it
  std::string sha256;  // SHA-256 of a text file, or content_sha256 of a token store
  std::string store;   // token store made from a text, beside this record; empty: the file itself is a store

  bool operator==(const Source&) const = default;
};

using Sources = std::map<std::string, Source>;  // by key of the config: "data.train", "data.val"

// Reads sources.json in `folder`. Returns an empty map when there is none. Throws DataError when it is damaged, and
// DiskError when it cannot be read.
Sources load_sources(const std::filesystem::path& folder);
// Writes sources.json in `folder`. Throws DiskError.
void save_sources(const std::filesystem::path& folder, const Sources& sources);

}  // namespace terse::data
