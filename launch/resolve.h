// From names on the command line to a configuration, a run folder or a tokenizer.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "configs/load.h"
#include "data/tokenizer.h"
#include "launch/commands/command.h"

namespace terse::launch {

// The configuration file with --set and the dedicated global options applied, and checked: each option, the task, and
// the limits between sections. Throws ConfigError.
configs::LoadedConfig resolve_config(const std::string& path, const GlobalOptions& globals,
                                     configs::InputFiles files = configs::InputFiles::kMustExist);

// The same for a run that is to be started or continued: one that is in its folder already needs no input files, since
// it keeps its own.
configs::LoadedConfig resolve_run_config(const std::string& path, const GlobalOptions& globals);

// An existing run or checkpoint folder. Throws UsageError, with a suggestion where there is one.
std::filesystem::path resolve_target(const std::string& target);
// True for a checkpoint folder, false for a run folder.
bool is_checkpoint(const std::filesystem::path& folder);

// `byte`, the name of a task, a tokenizer file, or a token store. Throws UsageError, DataError.
std::shared_ptr<const data::Tokenizer> resolve_tokenizer(const std::string& name);

// The argument, or all of standard input when there is none. `trim`: without the line end that `echo` adds.
std::string text_or_input(const std::optional<std::string>& argument, bool trim);

}  // namespace terse::launch
