// Formats a plan, as text for people and as JSON for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/plan/plan.h"

namespace terse::launch {

// The text gives the answer first, then a table of memory and a table of time. `config_path` is only a label.
std::string plan_text(const std::string& config_path, const plan::Run& run, const std::vector<plan::StagePlan>& plans);
// The same as JSON, in bytes, seconds and tokens. A stage's "memory" adds up to its "bytes", and its "time" to its
// "seconds".
nlohmann::json plan_json(const std::string& config_path, const plan::Run& run,
                         const std::vector<plan::StagePlan>& plans);

}  // namespace terse::launch
