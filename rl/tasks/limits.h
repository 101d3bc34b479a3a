// Checks the limits that depend on several sections of a configuration and on the task. One example is that prompts and
// responses fit into model.context. A run calls these checks before it creates anything.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "configs/run_config.h"
#include "rl/tasks/task.h"

namespace terse::rl {

// The longest response, in tokens: engine.max_new_tokens, or the task's own limit if that is 0. Rollouts, evaluations,
// the losses that divide by it and check_limits() all use this function.
int64_t response_limit(int64_t max_new_tokens, const Task& task);

// Throws ConfigError with every limit that does not hold; each line names the options, both numbers and what to change.
// `origin` maps options to the places where they were set (configs::LoadedConfig). The config must have passed
// configs::check.
void check_limits(const configs::RunConfig& config, const std::map<std::string, std::string>& origin = {});

}  // namespace terse::rl
