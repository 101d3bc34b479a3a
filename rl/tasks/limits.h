// Checks the limits that depend on several sections of a configuration and on the task. One example is that prompts and
// responses fit into model.max_seq_len. A run calls these checks before it creates anything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "configs/run_config.h"
#include "rl/tasks/vocabulary.h"

namespace terse::rl {

// The longest response, in tokens: engine.max_new_tokens; if that is 0, the task's own limit or, where it has none, the
// room that the longest prompt leaves in the longest sequence. Rollouts, evaluations, the losses that divide by it and
// check_limits() all use this function.
int64_t response_limit(const configs::RunConfig& config, const TokenizedTask& task);

// Throws ConfigError with every limit that does not hold; each line names the options, both numbers and what to change.
// `origin` maps options to the places where they were set (configs::LoadedConfig). The config must have passed
// configs::check. Opens the task for that, as open_task_before_run() does, and returns it.
OpenedTask check_limits(const configs::RunConfig& config, const std::map<std::string, std::string>& origin = {},
                        const std::filesystem::path& dir = {});

}  // namespace terse::rl
