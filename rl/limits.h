// The limits that sections of a configuration set each other by way of the task: what one section asks for must fit
// into what another gives. Everything that the configuration decides is checked here, before anything is created.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "configs/run_config.h"
#include "rl/env/task.h"

namespace terse::rl {

// The longest response, in tokens: what engine.max_new_tokens says, or the task's own limit where it is 0. Rollouts,
// evaluations, the losses that divide by it and the limits below all ask here.
int64_t response_limit(int64_t max_new_tokens, const Task& task);

// Throws ConfigError with every limit that does not hold; each line names the options, both numbers and what
// to change. `origin` tells where values were set (configs::LoadedConfig). The config must have passed configs::check.
void check_limits(const configs::RunConfig& config, const std::map<std::string, std::string>& origin = {});

// The same for what depends on how many ranks were started, on how many nodes.
void check_ranks(const configs::RunConfig& config, int64_t ranks, int64_t nodes);

}  // namespace terse::rl
