// The dedicated options (--seed, --device, --run-dir) override values like --set does. Each value remembers its origin
// for messages.
#include "launch/run/resolve.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "base/errors.h"
#include "data/store/token_store.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/hf/hf_folder.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/run/run_dir.h"
#include "rl/tasks/limits.h"
#include "rl/tasks/tokenized_task.h"
#include "trainer/parallel/world.h"
#include "trainer/saved_model/gguf_model.h"
#include "trainer/saved_model/initial_weights.h"
#include "trainer/saved_model/model_vocabulary.h"

namespace terse::launch {

namespace fs = std::filesystem;

namespace {

// Returns the shape of the weights that model.init names. A run that has begun keeps its shape, whatever became of that
// model since.
std::optional<configs::Model> shape_of_init(configs::RunConfig config, const GlobalOptions& globals) {
  if (globals.run_dir) config.run.dir = *globals.run_dir;
  const fs::path saved = run_dir_of(config) / "config.yaml";
  std::error_code ignored;
  if (fs::exists(saved, ignored)) {
    return configs::load(saved.string(), {}, configs::InputFiles::kMayBeMissing, rl::default_config()).config.model;
  }
  return fs::exists(config.model.init, ignored) ? trainer::shape_of(config.model.init) : std::nullopt;
}

std::vector<std::string> overrides_of(const GlobalOptions& globals) {
  std::vector<std::string> overrides = globals.set;
  if (globals.seed) overrides.push_back(fmt::format("run.seed={}", *globals.seed));
  if (globals.device) overrides.push_back("run.device=" + *globals.device);
  return overrides;
}

// Loads the configuration without the check that needs the task.
configs::LoadedConfig loaded_config(const std::string& path, const GlobalOptions& globals, configs::InputFiles files) {
  configs::LoadedConfig loaded =
      configs::load(path, overrides_of(globals), files, rl::default_config(),
                    [&](const configs::RunConfig& config) { return shape_of_init(config, globals); });
  if (globals.seed) loaded.origin["run.seed"] = "--seed";
  if (globals.device) loaded.origin["run.device"] = "--device";
  if (globals.run_dir) {  // set directly and not as an override: a path may hold any character
    loaded.config.run.dir = *globals.run_dir;
    loaded.origin["run.dir"] = "--run-dir";
  }
  return loaded;
}

// Opens the task and checks the limits. `dir`: the run folder; empty: there is none.
rl::OpenedTask checked_task(const configs::LoadedConfig& loaded, const fs::path& dir) try {
  return rl::check_limits(loaded.config, loaded.origin, dir);
} catch (const std::invalid_argument& error) {  // the task or its tokenizer cannot be used
  throw ConfigError(error.what());
}

// Prints the warnings on one rank. The config.yaml of a run folder gives none, because no person wrote it.
void print_warnings(const configs::LoadedConfig& loaded, const std::string& path) {
  std::error_code ignored;
  const bool saved = fs::equivalent(path, run_dir_of(loaded.config) / "config.yaml", ignored);
  if (trainer::rank_of_launch() > 0 || saved) return;
  for (const std::string& warning : loaded.warnings) warn("terse: warning: {}\n", warning);
}

}  // namespace

configs::LoadedConfig resolve_config(const std::string& path, const GlobalOptions& globals, configs::InputFiles files) {
  configs::LoadedConfig loaded = loaded_config(path, globals, files);
  checked_task(loaded, run_dir_of(loaded.config));
  print_warnings(loaded, path);
  return loaded;
}

configs::RunConfig resolve_for_model(const std::string& path, const GlobalOptions& globals) {
  return loaded_config(path, globals, configs::InputFiles::kMayBeMissing).config;
}

ResolvedRun resolve_run(const std::string& path, const GlobalOptions& globals) {
  configs::LoadedConfig loaded = loaded_config(path, globals, configs::InputFiles::kMayBeMissing);
  std::error_code ignored;
  const bool begun = fs::exists(run_dir_of(loaded.config) / "config.yaml", ignored);
  if (!begun) loaded = loaded_config(path, globals, configs::InputFiles::kMustExist);
  rl::OpenedTask task = checked_task(loaded, run_dir_of(loaded.config));
  print_warnings(loaded, path);
  return {std::move(loaded.config), std::move(task)};
}

ResolvedRun resolve_evaluation(const fs::path& model, const std::string& path, const GlobalOptions& globals) {
  std::vector<std::string> overrides = overrides_of(globals);
  for (const std::string& fixed : {std::string("stages=[eval]"), "model.init=" + model.string(),
                                   std::string("lora.rank=0"), std::string("lora.init=")})
    overrides.push_back(fixed);
  const auto shape = [&](const configs::RunConfig&) { return trainer::shape_of(model); };
  const auto files = configs::InputFiles::kMayBeMissing;  // those of training; the task names its own
  configs::LoadedConfig loaded =
      path.empty() ? configs::load_text("stages: [eval]", "the defaults", overrides, files, rl::default_config(), shape)
                   : configs::load(path, overrides, files, rl::default_config(), shape);
  for (const std::string& warning : loaded.warnings) warn("terse: warning: {}\n", warning);
  rl::OpenedTask task = checked_task(loaded, {});
  return {std::move(loaded.config), std::move(task)};
}

fs::path resolve_target(const std::string& target) {
  std::error_code ignored;
  if (fs::is_directory(target, ignored)) return target;
  const fs::path in_runs = fs::path("runs") / target;
  if (fs::exists(target, ignored))
    throw UsageError(fmt::format(
        "{} is a file; expected a run folder (runs/NAME) or a checkpoint folder (runs/NAME/checkpoints/step-N).",
        target));
  throw UsageError(
      fmt::format("there is no run or checkpoint folder {}{}", target,
                  fs::is_directory(in_runs, ignored) ? fmt::format("; did you mean {}?", in_runs.string()) : "."));
}

fs::path resolve_model(const std::string& target) {
  return trainer::is_gguf_file(target) ? fs::path(target) : resolve_target(target);
}

std::shared_ptr<const data::Tokenizer> resolve_tokenizer(const std::string& name) {
  if (name == "byte") return std::make_shared<data::ByteTokenizer>();
  const std::vector<std::string> tasks = rl::tasks_with_tokenizer();
  if (std::find(tasks.begin(), tasks.end(), name) != tasks.end()) {
    configs::Task config = rl::default_config().task;
    config.name = name;
    const std::shared_ptr<const rl::Task> task = rl::make_task(config, /*seed=*/1);
    return {task, task->tokenizer()};  // shares the ownership of the task, which keeps it alive
  }
  std::error_code ignored;
  if (data::is_hf_folder(name)) return data::load_tokenizer(name);
  if (trainer::is_gguf_file(name)) {
    auto found = trainer::load_model_vocabulary(name).tokenizer;
    if (found) return found;
    throw DataError(fmt::format("{} has no tokenizer", name));
  }
  if (!fs::is_regular_file(name, ignored))
    throw UsageError(
        fmt::format("no tokenizer '{}': it is neither `byte`, nor a task ({}), nor a tokenizer file, nor a Hugging "
                    "Face folder, nor a GGUF file, nor a token store.",
                    name, fmt::join(tasks, ", ")));
  return data::is_hdf5(name) ? data::TokenStore::open(name)->tokenizer() : data::load_tokenizer(name);
}

std::string text_or_input(const std::optional<std::string>& argument, bool trim) {
  if (argument && *argument != "-") return *argument;
  if (isatty(STDIN_FILENO) != 0) warn("Type the text, then Ctrl-D:\n");
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  if (trim && text.ends_with('\n')) text.pop_back();
  if (trim && text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace terse::launch
