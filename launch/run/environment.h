// environment.json records how a run was started, so that it can be repeated. It holds no environment variables,
// because they may contain secrets.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "configs/run_config.h"

namespace terse::launch {

// Reads the record of earlier starts from `dir`, adds this start and writes the record back atomically. A missing
// record means that this is the first start, and an unreadable one counts as missing. `retry`: the user asked for this
// start although the earlier ones made no progress. Returns the record. Throws DiskError.
nlohmann::json record_start(const std::filesystem::path& dir, const configs::RunConfig& config,
                            const std::vector<std::string>& command, bool retry);

}  // namespace terse::launch
