// The loop of a rank that only generates: it receives weights and problems from the ranks that learn, and sends groups
// back.
#pragma once

#include <optional>
#include <string>

#include "rl/async/split_world.h"
#include "rl/tasks/tokenized_task.h"

namespace terse::rl {

// Generates until the learners end. Returns why the run stopped; empty when it is complete. Collective over the world.
//
// New weights are installed between two tokens. Responses in progress continue with them, and each token keeps the
// version that sampled it. A group restarts when its oldest token is too old to be used.
std::optional<std::string> generate_for_learners(SplitWorld& split, const configs::RunConfig& config,
                                                 const TokenizedTask& task, int64_t vocab, torch::Device device);

}  // namespace terse::rl
