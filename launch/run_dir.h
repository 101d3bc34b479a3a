// The run folder: created, locked, and tied to one configuration.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "launch/run_lock.h"

namespace terse::launch {

// run.dir, or runs/<run.name>.
std::filesystem::path run_dir_of(const configs::RunConfig& config);

// The summary.json of the run that this configuration describes, when its folder holds that run and all its stages are
// done; nothing otherwise. Creates and locks nothing, so every rank may ask.
std::optional<nlohmann::json> finished_summary(const configs::RunConfig& config);

class RunDir {
 public:
  // Creates the folder if needed, locks it, and checks that it is new or belongs to the same run: a folder whose
  // config.yaml gives other numbers is refused, naming each key with both values. `runs/` is created when missing,
  // other parents must exist. Nothing in the folder but `lock` is touched. Throws ConfigError (the folder
  // cannot be used), UsageError (in use).
  explicit RunDir(const configs::RunConfig& config);

  const std::filesystem::path& path() const { return path_; }
  // True when the folder holds this run already.
  bool resumed() const { return resumed_; }

  // Writes config.yaml (complete) and environment.json. Returns the number of starts before this one. Throws
  // NoProgress when those ended one like the other, unless this one is a `retry`; DiskError.
  int64_t record(const configs::RunConfig& config, const std::vector<std::string>& command, bool retry = false) const;

 private:
  std::filesystem::path path_;
  RunLock lock_;
  bool resumed_ = false;
};

}  // namespace terse::launch
