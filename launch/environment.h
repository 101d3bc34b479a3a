// environment.json: what a run was started with, so that it can be repeated. Holds no environment variables: those
// carry secrets.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "configs/run_config.h"

namespace terse::launch {

// Reads the record of earlier starts from `dir` (none: a first start; unreadable: counted as none), adds this start and
// writes it back atomically. `retry`: the user asked for this start although those before made no progress. Returns the
// record. Throws DiskError.
nlohmann::json record_start(const std::filesystem::path& dir, const configs::RunConfig& config,
                            const std::vector<std::string>& command, bool retry);

}  // namespace terse::launch
