// The token stores that a run makes of its input files. They stay in the run folder, so later starts and other ranks
// reuse them, and the run continues without a file that is gone. A file that changes after the run has begun is
// refused.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/sources.h"
#include "data/store/token_store.h"

namespace terse::data {

struct CacheOptions {
  Sources sources = {};    // from an earlier start: its token store replaces a file that is gone
  bool unchanged = false;  // the files must match `sources`, because the run has trained on them
  Progress progress = {};  // called while a file or a store is read
};

// Returns "<kind>-<hash>.h5", where the hash is that of a file's SHA-256 and of everything else that the store depends
// on.
std::string store_name(const std::string& kind, const std::string& sha256, const std::vector<std::string>& parts);

class StoreCache {
 public:
  StoreCache(std::filesystem::path folder, CacheOptions options)
      : folder_(std::move(folder)), options_(std::move(options)) {}

  const std::filesystem::path& folder() const { return folder_; }
  const Progress& progress() const { return options_.progress; }

  // Records the file of the option `key`. Throws ConfigError when the run has begun with another one.
  void accept(const std::string& key, const Source& source);
  // Opens the store `name` and checks its hash. If it is absent or damaged, `build` makes it first.
  std::shared_ptr<const TokenStore> open(const std::string& name, StoreContent content,
                                         const std::function<void(const std::filesystem::path&)>& build);
  // Opens the store that an earlier start made of a file that is gone, and notes that. Throws ConfigError when there is
  // none.
  std::shared_ptr<const TokenStore> open_without(const std::string& key, const std::string& file, StoreContent content);
  void note(const std::string& text) { notes_.push_back(text); }

  const Sources& sources() const { return sources_; }
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  std::shared_ptr<const TokenStore> open_verified(const std::filesystem::path& path, StoreContent content) const;

  std::filesystem::path folder_;
  CacheOptions options_;
  Sources sources_;
  std::vector<std::string> notes_;
};

}  // namespace terse::data
