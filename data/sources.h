// The record of a run's input files. It lets a later start see whether they have changed, and go on without a text that
// is gone.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace terse::data {

// An input file as it was when the run began.
struct Source {
  std::string file;    // its path, as the config gives it
  std::string sha256;  // of the bytes of a text; of a token store, its content_sha256
  std::string store;   // the token store that was made of a text, beside this record; empty: the file is a store itself

  bool operator==(const Source&) const = default;
};

using Sources = std::map<std::string, Source>;  // by key of the config: "data.train", "data.val"

// sources.json in `folder`; empty when there is none. Throws DataError when it is damaged.
Sources load_sources(const std::filesystem::path& folder);
// Throws DiskError.
void save_sources(const std::filesystem::path& folder, const Sources& sources);

}  // namespace terse::data
