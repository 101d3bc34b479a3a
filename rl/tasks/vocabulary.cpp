// A task has its own tokenizer, which a corpus beside it uses, too. Without a task, the config names the tokenizer.
#include "rl/tasks/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoints/store.h"
#include "configs/load.h"
#include "data/store/token_store.h"
#include "data/tokenizers/tokenizer_factory.h"

namespace terse::rl {

namespace {

namespace fs = std::filesystem;
using TokenizerPtr = std::shared_ptr<const data::Tokenizer>;

bool has_stage(const configs::RunConfig& config, const char* stage) {
  return std::find(config.stages.begin(), config.stages.end(), stage) != config.stages.end();
}

// The task and its tokenizer, where a stage needs a task.
Vocabulary task_vocabulary(const configs::RunConfig& config) {
  Vocabulary vocabulary;
  if (has_stage(config, "sft") || has_stage(config, "rl") || has_stage(config, "eval")) {
    vocabulary.task = make_task(config.task, config.run.seed);
    // This pointer does not own: the task owns the tokenizer, and the vocabulary holds both.
    vocabulary.tokenizer = TokenizerPtr(&vocabulary.task->tokenizer(), [](const data::Tokenizer*) {});
  }
  return vocabulary;
}

// Throws ConfigError when the file of tokenizer.path has changed since the run began.
void require_same_file(const configs::Tokenizer& config, const data::Tokenizer& kept, const fs::path& file) {
  if (config.kind != "char" || config.path.empty() || !fs::exists(config.path)) return;
  const TokenizerPtr now = data::load_tokenizer(config.path);
  if (now->id() == kept.id()) return;
  throw ConfigError(
      fmt::format("tokenizer.path: {} has changed since the run began: it holds the tokenizer {}, the run has {} ({}). "
                  "Put the file "
                  "back as it was or move it away, or use another run folder (--run-dir or run.name) for the new one",
                  config.path, now->id(), kept.id(), file.string()));
}

// The tokenizer of a run without a task. A run that has begun keeps its tokenizer, even if its text has changed.
TokenizerPtr corpus_tokenizer(const configs::RunConfig& config, const fs::path& dir, bool begun,
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

}  // namespace

Vocabulary open_vocabulary(const configs::RunConfig& config, const fs::path& dir, bool first,
                           const Progress& progress) {
  const bool begun = !first || !checkpoints::list_checkpoints(dir / "checkpoints").empty();
  Vocabulary vocabulary = task_vocabulary(config);
  if (!vocabulary.tokenizer) vocabulary.tokenizer = corpus_tokenizer(config, dir, begun, progress);
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

Vocabulary kept_vocabulary(const configs::RunConfig& config, const fs::path& dir) {
  Vocabulary vocabulary = task_vocabulary(config);
  if (fs::exists(dir / kTokenizerFile)) {
    vocabulary.tokenizer = data::load_tokenizer(dir / kTokenizerFile);
  } else if (!vocabulary.tokenizer) {
    vocabulary.tokenizer = stored_tokenizer(dir / "data");
  }
  if (vocabulary.tokenizer) return vocabulary;
  throw ConfigError(fmt::format(
      "{} has no {}: an older build of terse made it, and no token store in {} tells its tokenizer. Copy the "
      "store that it was trained on into that folder",
      dir.string(), kTokenizerFile, (dir / "data").string()));
}

Vocabulary saved_vocabulary(const configs::RunConfig& config, std::string_view definition, const std::string& origin) {
  Vocabulary vocabulary = task_vocabulary(config);
  vocabulary.tokenizer = data::parse_tokenizer(definition, origin);
  return vocabulary;
}

}  // namespace terse::rl
