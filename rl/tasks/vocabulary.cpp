// A task in a language of its own brings a tokenizer, which a corpus beside it uses, too. Otherwise the config names
// the tokenizer.
#include "rl/tasks/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoints/store.h"
#include "configs/load.h"
#include "data/store/token_store.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "rl/tasks/task_files.h"

namespace terse::rl {

namespace {

namespace fs = std::filesystem;
using TokenizerPtr = std::shared_ptr<const data::Tokenizer>;

bool has_stage(const configs::RunConfig& config, const char* stage) {
  return std::find(config.stages.begin(), config.stages.end(), stage) != config.stages.end();
}

bool needs_task(const configs::RunConfig& config) {
  return has_stage(config, "sft") || has_stage(config, "rl") || has_stage(config, "eval");
}

// The task of the run, with its files from the run folder; null where no stage needs one.
std::unique_ptr<const Task> kept_task(const configs::RunConfig& config, const fs::path& dir) {
  return needs_task(config) ? make_task(with_kept_files(config.task, dir), config.run.seed) : nullptr;
}

// Throws ConfigError when the file of tokenizer.path has changed since the run began.
void require_same_file(const configs::Tokenizer& config, const data::Tokenizer& kept, const fs::path& file) {
  if ((config.kind != "char" && config.kind != "bpe") || config.path.empty() || !fs::exists(config.path)) return;
  const TokenizerPtr now = data::load_tokenizer(config.path);
  if (now->id() == kept.id()) return;
  throw ConfigError(fmt::format(
      "tokenizer.path: {} has changed since the run began: it holds the tokenizer {}, but the run uses {} ({}). "
      "Restore the file or move it away, or use another run folder (--run-dir or run.name) for the new tokenizer",
      config.path, now->id(), kept.id(), file.string()));
}

// The tokenizer of a run whose task brings none. A run that has begun keeps its tokenizer, even if its text has
// changed.
TokenizerPtr chosen_tokenizer(const configs::RunConfig& config, const fs::path& dir, bool begun,
                              const Progress& progress) {
  const fs::path file = dir / kTokenizerFile;
  if (fs::exists(file) && (begun || !fs::exists(config.data.train))) {
    TokenizerPtr kept = data::load_tokenizer(file);
    require_same_file(config.tokenizer, *kept, file);
    return kept;
  }
  return data::make_tokenizer(config.tokenizer, config.data.train, config.data.separator, progress);
}

// Run folders of older builds keep the tokenizer only inside the token stores of their texts. Returns null when there
// is no store, or when the stores disagree.
TokenizerPtr stored_tokenizer(const fs::path& data_dir) {
  TokenizerPtr found;
  std::error_code missing;
  for (const fs::directory_entry& entry : fs::directory_iterator(data_dir, missing)) {
    if (entry.path().extension() != ".h5") continue;
    TokenizerPtr tokenizer = data::TokenStore::open(entry.path())->tokenizer();
    if (found && found->id() != tokenizer->id()) return nullptr;
    found = std::move(tokenizer);
  }
  return found;
}

// The task for readers of a saved model.
std::unique_ptr<const Task> saved_task(const configs::RunConfig& config, const fs::path& dir, TaskUse use) {
  if (needs_task(config) && runs_a_program(config.task)) {
    if (use == TaskUse::kOptional) return nullptr;
    throw ConfigError(fmt::format(
        "task.name: the task {} of this model runs a program, and terse runs no program that a saved file names. To "
        "evaluate the model, run a config of your own that has the task, model.init and stages: [eval]",
        config.task.name));
  }
  try {
    return kept_task(config, dir);
  } catch (const DiskError&) {
    if (use == TaskUse::kRequired) throw;
    return nullptr;
  }
}

Vocabulary joined(std::unique_ptr<const Task> task, TokenizerPtr tokenizer, const configs::RunConfig& config) {
  Vocabulary vocabulary;
  vocabulary.tokenizer = std::move(tokenizer);
  if (!task) return vocabulary;
  if (task->tokenizer() != nullptr && task->tokenizer()->id() != vocabulary.tokenizer->id()) {
    throw std::invalid_argument(fmt::format("task {} has the tokenizer {}, but this run was trained with {}",
                                            task->name(), task->tokenizer()->id(), vocabulary.tokenizer->id()));
  }
  vocabulary.task = std::make_unique<TokenizedTask>(std::move(task), vocabulary.tokenizer, config.run.seed);
  return vocabulary;
}

}  // namespace

Vocabulary open_vocabulary(const configs::RunConfig& config, const fs::path& dir, bool first,
                           const Progress& progress) {
  const bool begun = !first || !checkpoints::list_checkpoints(dir / "checkpoints").empty();
  if (first && needs_task(config)) keep_task_files(config.task, dir, begun);
  Vocabulary vocabulary;
  std::unique_ptr<const Task> task = kept_task(config, dir);
  if (task && task->tokenizer() != nullptr) {
    vocabulary.task = std::make_unique<TokenizedTask>(std::move(task), nullptr, config.run.seed);
    // This pointer does not own: the task owns the tokenizer, and the vocabulary holds both.
    vocabulary.tokenizer = TokenizerPtr(&vocabulary.task->tokenizer(), [](const data::Tokenizer*) {});
  } else {
    vocabulary.tokenizer = chosen_tokenizer(config, dir, begun, progress);
    if (task) vocabulary.task = std::make_unique<TokenizedTask>(std::move(task), vocabulary.tokenizer, config.run.seed);
  }
  if (has_stage(config, "pretrain")) {
    data::CorpusOptions options;
    options.sources = data::load_sources(dir / "data");
    options.unchanged = begun;
    options.progress = progress;
    vocabulary.corpus = data::open_corpus(config.data, vocabulary.tokenizer, dir / "data", options);
    if (first && vocabulary.corpus->sources != options.sources)
      data::save_sources(dir / "data", vocabulary.corpus->sources);
  }
  const fs::path file = dir / kTokenizerFile;
  if (first && (!begun || !fs::exists(file))) data::save_tokenizer(file, *vocabulary.tokenizer);
  return vocabulary;
}

Vocabulary kept_vocabulary(const configs::RunConfig& config, const fs::path& dir, TaskUse use) {
  std::unique_ptr<const Task> task = saved_task(config, dir, use);
  TokenizerPtr tokenizer;
  if (fs::exists(dir / kTokenizerFile)) {
    tokenizer = data::load_tokenizer(dir / kTokenizerFile);
  } else if (task && task->tokenizer() != nullptr) {
    tokenizer = data::parse_tokenizer(task->tokenizer()->definition(), task->name());
  } else {
    tokenizer = stored_tokenizer(dir / "data");
  }
  if (!tokenizer) {
    throw ConfigError(
        fmt::format("{} has no {}, because an older build of terse made it, and the token stores in {} do not identify "
                    "its tokenizer. Copy the token store that the run was trained on into that folder",
                    dir.string(), kTokenizerFile, (dir / "data").string()));
  }
  return joined(std::move(task), std::move(tokenizer), config);
}

Vocabulary saved_vocabulary(const configs::RunConfig& config, TokenizerPtr tokenizer, const fs::path& dir,
                            TaskUse use) {
  return joined(saved_task(config, dir, use), std::move(tokenizer), config);
}

}  // namespace terse::rl
