// Warnings about a plan, with the options that would help. An option is named only after a plan with it proves better.
#pragma once

#include <string>
#include <vector>

#include "launch/plan/plan.h"

namespace terse::launch::plan {

// Sentences for people, the most serious first: stages that do not fit, with their largest consumers; ranks without
// work; stages that wait too long for the network.
std::vector<std::string> warnings(const Run& run, const std::vector<StagePlan>& plans);

// Only those about stages that do not fit.
std::vector<std::string> memory_warnings(const Run& run, const std::vector<StagePlan>& plans);

}  // namespace terse::launch::plan
