// What a rank does that only generates: it takes weights and problems from the ranks that learn, and gives them groups.
#pragma once

#include <optional>
#include <string>

#include "rl/env/task.h"
#include "rl/split_world.h"

namespace terse::rl {

// Until the learners end; returns what stopped the run, nothing when it is complete. Collective over the world.
//
// New weights are taken between two tokens. Responses under way go on with them, and each token keeps the version that
// sampled it; a group whose first token is already too old to be ever used is begun anew.
std::optional<std::string> generate_for_learners(SplitWorld& split, const configs::RunConfig& config, const Task& task,
                                                 int64_t vocab, torch::Device device);

}  // namespace terse::rl
