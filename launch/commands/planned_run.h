// Reads a configuration for commands that ask about a run and do not start it: plan and bench.
#pragma once

#include <cstdint>
#include <string>

#include "launch/commands/command.h"
#include "launch/plan/plan.h"

namespace terse::launch {

// Returns the configuration with the size of the vocabulary and the lengths of its task; the machine and the ranks are
// left open. `vocab`: the size of the vocabulary; 0: that of the tokenizer. The data of the run may be missing. Throws
// ConfigError, and UsageError when the size of the vocabulary is unknown.
plan::Run planned_run(const std::string& config, const GlobalOptions& globals, int64_t vocab);

// The same for a command that measures the model and does not ask about its task. It opens the task only to learn the
// size of the vocabulary, when neither `vocab` nor the configuration nor model.init tells it.
plan::Run measured_run(const std::string& config, const GlobalOptions& globals, int64_t vocab);

}  // namespace terse::launch
