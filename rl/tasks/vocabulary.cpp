// A task in a language of its own brings a tokenizer, which a corpus beside it uses, too. Otherwise the config names
// the tokenizer.
#include "rl/tasks/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/durable.h"
#include "checkpoints/store.h"
#include "configs/load.h"
#include "data/store/token_store.h"
#include "data/tokenizers/definition_file.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "rl/tasks/task_files.h"
#include "trainer/saved_model/model_files.h"
#include "trainer/saved_model/model_vocabulary.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::rl {

namespace {

namespace fs = std::filesystem;
using TokenizerPtr = std::shared_ptr<const data::Tokenizer>;

bool has_stage(const configs::RunConfig& config, const char* stage) {
  return std::find(config.stages.begin(), config.stages.end(), stage) != config.stages.end();
}

// The task of the run, with its files from the run folder; null where no stage needs one.
std::unique_ptr<const Task> kept_task(const configs::RunConfig& config, const fs::path& dir) {
  return needs_task(config) ? make_task(with_kept_files(config.task, dir), config.run.seed) : nullptr;
}

struct NamedTemplate {
  std::string text;  // empty: there is none
  std::string name;  // of the file, for messages
};

NamedTemplate read_template(const fs::path& file) {
  return {data::read_definition_file(file), file.string()};
}

// The chat template that a run folder keeps.
NamedTemplate kept_template(const fs::path& dir) {
  const fs::path file = dir / trainer::kChatTemplateFile;
  return fs::exists(file) ? read_template(file) : NamedTemplate();
}

std::shared_ptr<const data::ChatFormat> format_of(const configs::RunConfig& config, TokenizerPtr tokenizer,
                                                  const NamedTemplate& chat_template) {
  return std::make_shared<const data::ChatFormat>(std::move(tokenizer), chat_template.text, chat_template.name,
                                                  config.chat);
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

// What model.init tells of itself, where the config leaves something to it.
trainer::ModelVocabulary vocabulary_of_init(const configs::RunConfig& config) {
  std::error_code ignored;
  const bool asked = config.tokenizer.kind == "auto" || config.chat.chat_template == "auto";
  if (!asked || config.model.init.empty() || !fs::exists(config.model.init, ignored)) return {};
  trainer::ModelVocabulary init = trainer::load_model_vocabulary(config.model.init);
  if (!init.tokenizer && config.tokenizer.kind == "auto" && trainer::is_model_files(config.model.init)) {
    throw ConfigError(fmt::format(
        "tokenizer.kind: is auto, but the model in {} (model.init) has no tokenizer that terse reads, for example a "
        "tokenizer.json; name one with tokenizer.kind: bpe and tokenizer.path",
        config.model.init));
  }
  return init;
}

// A run that has begun keeps its tokenizer, even if its text has changed.
TokenizerPtr chosen_tokenizer(const configs::RunConfig& config, const fs::path& dir, bool begun, TokenizerPtr of_init,
                              const Progress& progress) {
  const fs::path file = dir / kTokenizerFile;
  if (fs::exists(file) && (begun || !fs::exists(config.data.train))) {
    TokenizerPtr kept = data::load_tokenizer(file);
    require_same_file(config.tokenizer, *kept, file);
    return kept;
  }
  if (config.tokenizer.kind == "auto" && of_init) return of_init;
  return data::make_tokenizer(config.tokenizer, config.data.train, config.data.separator, progress);
}

NamedTemplate chosen_template(const configs::RunConfig& config, const fs::path& dir, bool begun,
                              const trainer::ModelVocabulary& init) {
  const std::string& choice = config.chat.chat_template;
  if (begun) return kept_template(dir);
  if (choice == "none") return {};
  if (choice == "auto") return {init.chat_template, init.template_name};
  if (fs::is_regular_file(choice)) return read_template(choice);
  throw ConfigError(
      fmt::format("chat.chat_template: no such file: {}; expected auto, none, or a file with a template", choice));
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

// Opens the texts and the conversations that the run trains on. The `first` rank writes the record of their files.
void open_training_data(const configs::RunConfig& config, const fs::path& dir, bool first, bool begun,
                        const Progress& progress, Vocabulary& vocabulary) {
  data::CacheOptions options{.sources = data::load_sources(dir / "data"), .unchanged = begun, .progress = progress};
  data::Sources sources;
  if (has_stage(config, "pretrain")) {
    vocabulary.corpus = data::open_corpus(config.data, vocabulary.chat->shared_tokenizer(), dir / "data", options);
    sources = vocabulary.corpus->sources;
  }
  if (has_stage(config, "sft") && !config.sft.train.empty()) {
    vocabulary.conversations = data::open_conversations(config, *vocabulary.chat, dir / "data", options);
    sources.insert(vocabulary.conversations->sources.begin(), vocabulary.conversations->sources.end());
  }
  if (first && !sources.empty() && sources != options.sources) data::save_sources(dir / "data", sources);
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

Vocabulary joined(std::unique_ptr<const Task> task, std::shared_ptr<const data::ChatFormat> chat,
                  const configs::RunConfig& config) {
  Vocabulary vocabulary;
  vocabulary.chat = std::move(chat);
  if (!task) return vocabulary;
  if (task->tokenizer() != nullptr && task->tokenizer()->id() != vocabulary.tokenizer().id()) {
    throw std::invalid_argument(fmt::format("task {} has the tokenizer {}, but this run was trained with {}",
                                            task->name(), task->tokenizer()->id(), vocabulary.tokenizer().id()));
  }
  vocabulary.task = std::make_unique<TokenizedTask>(std::move(task), vocabulary.chat, config.run.seed);
  return vocabulary;
}

// Saves tokenizer and chat template in the run folder.
void keep(const data::ChatFormat& chat, const fs::path& dir) {
  data::save_tokenizer(dir / kTokenizerFile, chat.tokenizer());
  if (chat.has_template()) {
    write_durably(dir / trainer::kChatTemplateFile, chat.template_text());
  } else {
    fs::remove(dir / trainer::kChatTemplateFile);
  }
}

}  // namespace

bool needs_task(const configs::RunConfig& config) {
  return (has_stage(config, "sft") && config.sft.train.empty()) || has_stage(config, "rl") || has_stage(config, "eval");
}

std::shared_ptr<const data::ChatFormat> choose_chat_format(const configs::RunConfig& config, const fs::path& dir,
                                                           bool begun, const Progress& progress) {
  const trainer::ModelVocabulary init = begun ? trainer::ModelVocabulary() : vocabulary_of_init(config);
  return format_of(config, chosen_tokenizer(config, dir, begun, init.tokenizer, progress),
                   chosen_template(config, dir, begun, init));
}

Vocabulary open_vocabulary(const configs::RunConfig& config, const fs::path& dir, bool first,
                           const Progress& progress) {
  const bool begun = !first || !checkpoints::list_checkpoints(dir / "checkpoints").empty();
  if (first && needs_task(config)) keep_task_files(config.task, dir, begun);
  Vocabulary vocabulary;
  std::unique_ptr<const Task> task = kept_task(config, dir);
  const bool own_tokens = task && task->tokenizer() != nullptr;
  if (!own_tokens) vocabulary.chat = choose_chat_format(config, dir, begun, progress);
  if (task) vocabulary.task = std::make_unique<TokenizedTask>(std::move(task), vocabulary.chat, config.run.seed);
  if (own_tokens) vocabulary.chat = vocabulary.task->chat();
  open_training_data(config, dir, first, begun, progress, vocabulary);
  if (first && (!begun || !fs::exists(dir / kTokenizerFile))) keep(*vocabulary.chat, dir);
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
  return joined(std::move(task), format_of(config, std::move(tokenizer), kept_template(dir)), config);
}

Vocabulary saved_vocabulary(const configs::RunConfig& config, std::shared_ptr<const data::ChatFormat> chat,
                            const fs::path& dir, TaskUse use) {
  return joined(saved_task(config, dir, use), std::move(chat), config);
}

}  // namespace terse::rl
