// The run folder: creates it, locks it, and ties it to one configuration.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "launch/run/run_lock.h"

namespace terse::launch {

// Returns run.dir, or runs/<run.name> when run.dir is empty.
std::filesystem::path run_dir_of(const configs::RunConfig& config);

// Returns summary.json if the run folder of this configuration holds this run and all its stages are done, and
// otherwise nullopt. Creates and locks nothing, so every rank may call it.
std::optional<nlohmann::json> finished_summary(const configs::RunConfig& config);

class RunDir {
 public:
  // Creates the folder if needed, locks it, and checks that it is new or belongs to the same run. A folder whose
  // config.yaml would give other numbers is refused; the message names each such key with both values. `runs/` is
  // created when missing, but any other parent must exist. Writes nothing in the folder except `lock`. Throws
  // ConfigError when the folder cannot be used, UsageError when it is in use.
  explicit RunDir(const configs::RunConfig& config);

  const std::filesystem::path& path() const { return path_; }
  // True when the folder held this run already.
  bool resumed() const { return resumed_; }

  // Writes config.yaml (complete) and environment.json. Returns the number of starts before this one. Throws NoProgress
  // when those are a crash loop (launch/run/starts.h) and `retry` is false. Throws DiskError.
  int64_t record(const configs::RunConfig& config, const std::vector<std::string>& command, bool retry = false) const;

 private:
  std::filesystem::path path_;
  RunLock lock_;
  bool resumed_ = false;
};

}  // namespace terse::launch
