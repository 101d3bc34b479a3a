// A plan for people and for programs: the answer first, then a table of memory and one of time.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "trainer/plan/plan.h"

namespace terse::launch {

std::string plan_text(const std::string& config_path, const trainer::plan::Run& run,
                      const std::vector<trainer::plan::StagePlan>& plans);
// Bytes, seconds and tokens; memory of a stage adds up to its "bytes", and time to its "seconds".
nlohmann::json plan_json(const std::string& config_path, const trainer::plan::Run& run,
                         const std::vector<trainer::plan::StagePlan>& plans);

}  // namespace terse::launch
