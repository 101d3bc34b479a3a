// Checks the limits that depend on several sections of a configuration and on the task. One example is that prompts and
// responses fit into model.max_seq_len. A run calls these checks before it creates anything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "configs/run_config.h"
#include "rl/tasks/tokenized_task.h"

namespace terse::rl {

// The longest response, in tokens: engine.max_new_tokens; if that is 0, the task's own limit or, where it has none, the
// room that the longest prompt leaves in the longest sequence. Rollouts, evaluations, the losses that divide by it and
// check_limits() all use this function.
int64_t response_limit(const configs::RunConfig& config, const TokenizedTask& task);

// The task of a config with the tokenizer that the run will have; null where a text that the run has not read yet
// decides the tokenizer. `dir` is the run folder, which keeps the tokenizer of a run that has begun; empty: there is
// none. Throws what open_task throws, and ConfigError or DataError when there is no such tokenizer.
std::unique_ptr<TokenizedTask> task_of(const configs::RunConfig& config, const std::filesystem::path& dir = {});

// Throws ConfigError with every limit that does not hold; each line names the options, both numbers and what to change.
// `origin` maps options to the places where they were set (configs::LoadedConfig), and `dir` is as above. The config
// must have passed configs::check.
void check_limits(const configs::RunConfig& config, const std::map<std::string, std::string>& origin = {},
                  const std::filesystem::path& dir = {});

}  // namespace terse::rl
