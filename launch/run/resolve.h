// Turns names from the command line into a configuration, a run folder or a tokenizer.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "configs/load.h"
#include "data/tokenizers/tokenizer.h"
#include "launch/commands/command.h"
#include "rl/tasks/vocabulary.h"

namespace terse::launch {

// Loads the configuration file, applies --set and the dedicated global options, and checks the result: each option, the
// task, and the limits between sections. Warns of older names of options. Throws ConfigError.
configs::LoadedConfig resolve_config(const std::string& path, const GlobalOptions& globals,
                                     configs::InputFiles files = configs::InputFiles::kMustExist);

// Does the same for a command that reads only the model: without the task, whose files may be missing, without the
// limits between sections, and without warnings.
configs::RunConfig resolve_for_model(const std::string& path, const GlobalOptions& globals);

// The configuration of a run, and its task, which the check has opened.
struct ResolvedRun {
  configs::RunConfig config;
  rl::OpenedTask task;
};

// Does the same for a run that is to be started or resumed. The input files of a run whose folder exists may be
// missing, because the folder keeps the tokens of texts.
ResolvedRun resolve_run(const std::string& path, const GlobalOptions& globals);

// Resolves the configuration of an evaluation of `model`: a run with stages: [eval], whose model.init it is. `path` is
// a configuration file; empty: the defaults. Throws ConfigError.
ResolvedRun resolve_evaluation(const std::filesystem::path& model, const std::string& path,
                               const GlobalOptions& globals);

// Returns `target` if it is a folder. Otherwise throws UsageError, with a suggestion where there is one.
std::filesystem::path resolve_target(const std::string& target);

// Does the same, and also takes a GGUF file.
std::filesystem::path resolve_model(const std::string& target);

// Returns the tokenizer that `name` stands for: `byte`, a task, a tokenizer file, a Hugging Face folder, a GGUF file,
// or a token store. Throws UsageError, DataError.
std::shared_ptr<const data::Tokenizer> resolve_tokenizer(const std::string& name);

// Returns the argument, or all of standard input when there is none or it is "-". `trim` removes the line end that
// `echo` adds to standard input.
std::string text_or_input(const std::optional<std::string>& argument, bool trim);

}  // namespace terse::launch
