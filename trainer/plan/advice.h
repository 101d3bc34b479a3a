// What is wrong with a plan, and which options would mend it: each is tried in a plan of its own before it is named.
#pragma once

#include <string>
#include <vector>

#include "trainer/plan/plan.h"

namespace terse::trainer::plan {

// Sentences for people, the gravest first: stages that do not fit, with their largest consumers; ranks without work;
// stages in which too much time is spent waiting for the network.
std::vector<std::string> warnings(const Run& run, const std::vector<StagePlan>& plans);

}  // namespace terse::trainer::plan
