// The vocabulary is that of the run folder, the task, the model, or the corpus, whichever decides it.
#include "launch/commands/planned_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "data/tokenizers/tokenizer_factory.h"
#include "launch/exit_codes.h"
#include "launch/run/resolve.h"
#include "rl/tasks/tokenized_task.h"
#include "rl/tasks/vocabulary.h"

namespace terse::launch {
namespace {

// A config.yaml in a run folder has the tokenizer of the run beside it.
std::filesystem::path folder_of_run(const std::filesystem::path& file) {
  return file.filename() == "config.yaml" ? file.parent_path() : std::filesystem::path();
}

// Returns the size of the vocabulary. The config.yaml of a run folder has its tokenizer beside it. Any other
// configuration may lack its data here, unless the characters of the data are the vocabulary.
int64_t vocabulary_of(const std::filesystem::path& file, const configs::RunConfig& config) {
  std::error_code ignored;
  const std::filesystem::path kept = folder_of_run(file) / rl::kTokenizerFile;
  if (std::filesystem::exists(kept, ignored)) return data::load_tokenizer(kept)->vocab_size();
  const bool present = std::filesystem::exists(config.data.train, ignored);
  if (!present && config.tokenizer.path.empty() && config.tokenizer.kind != "byte") {
    throw UsageError(fmt::format(
        "data.train ({}) does not exist here, so the size of the vocabulary is unknown; give it with --vocab N.",
        config.data.train));
  }
  return data::make_tokenizer(config.tokenizer, present ? config.data.train : "", config.data.separator)->vocab_size();
}

}  // namespace

plan::Run planned_run(const std::string& config, const GlobalOptions& globals, int64_t vocab) {
  plan::Run run;
  run.config = resolve_config(config, globals, configs::InputFiles::kMayBeMissing).config;
  if (rl::needs_task(run.config)) {
    const std::unique_ptr<rl::TokenizedTask> task = rl::open_task_before_run(run.config, folder_of_run(config)).task;
    if (!task)
      throw UsageError("the tokenizer depends on a text that this command does not read: name it by tokenizer.path.");
    plan::describe_task(run, *task);
  } else if (vocab == 0 && run.config.model.vocab_size == 0) {
    run.vocab = vocabulary_of(config, run.config);
  }
  run.vocab = vocab > 0 ? vocab : std::max(run.vocab, run.config.model.vocab_size);
  return run;
}

plan::Run measured_run(const std::string& config, const GlobalOptions& globals, int64_t vocab) {
  plan::Run run;
  run.config = resolve_for_model(config, globals);
  run.vocab = vocab > 0 ? vocab : run.config.model.vocab_size;
  return run.vocab > 0 ? run : planned_run(config, globals, vocab);
}

}  // namespace terse::launch
