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
#include "rl/tasks/files/task_files.h"
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

// The config of the task, with its files from the run folder, if there is one.
configs::Task with_files_of_run(const configs::RunConfig& config, const fs::path& dir) {
  return dir.empty() ? config.task : with_kept_files(config.task, dir);
}

// The task of the run; null where no stage needs one.
std::unique_ptr<const Task> kept_task(const configs::RunConfig& config, const fs::path& dir) {
  return needs_task(config) ? make_task(with_files_of_run(config, dir), config.run.seed) : nullptr;
}

// A chat template, and what messages call it.
struct NamedTemplate {
  std::string text;
  std::string name;
};

// The chat template that a run folder keeps.
NamedTemplate kept_template(const fs::path& dir) {
  const fs::path file = dir / trainer::kChatTemplateFile;
  return {fs::exists(file) ? data::read_definition_file(file) : std::string(), file.string()};
}

std::shared_ptr<const data::ChatFormat> format_of(const configs::RunConfig& config, TokenizerPtr tokenizer,
                                                  const NamedTemplate& chosen) {
  return std::make_shared<const data::ChatFormat>(std::move(tokenizer), chosen.text, chosen.name, config.chat);
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
  if (!dir.empty() && fs::exists(file) && (begun || !fs::exists(config.data.train))) {
    TokenizerPtr kept = data::load_tokenizer(file);
    require_same_file(config.tokenizer, *kept, file);
    return kept;
  }
  if (config.tokenizer.kind == "auto" && of_init) return of_init;
  return data::make_tokenizer(config.tokenizer, config.data.train, config.data.separator, progress);
}

// The text is empty where there is no template.
NamedTemplate chosen_template(const configs::RunConfig& config, const fs::path& dir, bool begun,
                              const trainer::ModelVocabulary& init) {
  const std::string& choice = config.chat.chat_template;
  if (choice == "none" && !begun) return {};
  if (choice == "auto" && !begun) return {init.chat_template, init.template_name};
  const bool is_file = choice != "none" && choice != "auto" && fs::is_regular_file(choice);
  const NamedTemplate given = {is_file ? data::read_definition_file(choice) : std::string(), choice};
  if (!begun && !is_file) {
    throw ConfigError(
        fmt::format("chat.chat_template: no such file: {}; expected auto, none, or a file with a template", choice));
  }
  if (!begun && given.text.empty()) throw ConfigError(fmt::format("chat.chat_template: {} is empty", choice));
  if (!begun) return given;
  NamedTemplate kept = kept_template(dir);
  if (is_file && given.text != kept.text) {
    throw ConfigError(fmt::format(
        "chat.chat_template: {} has changed since the run began, which uses {}. Restore the file or move it away, or "
        "use another run folder (--run-dir or run.name) for the new template",
        choice, kept.name));
  }
  return kept;
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

bool has_begun(const fs::path& dir) {
  return !dir.empty() && !checkpoints::list_checkpoints(dir / "checkpoints").empty();
}

// Returns the chat format of a run whose task brings no tokenizer. A run that has begun keeps what its folder has.
// Otherwise the config decides: its tokenizer, or that of model.init; the same for the chat template.
std::shared_ptr<const data::ChatFormat> choose_chat_format(const configs::RunConfig& config, const fs::path& dir,
                                                           bool begun, const Progress& progress = {}) {
  const trainer::ModelVocabulary init = begun ? trainer::ModelVocabulary() : vocabulary_of_init(config);
  return format_of(config, chosen_tokenizer(config, dir, begun, init.tokenizer, progress),
                   chosen_template(config, dir, begun, init));
}

// Whether the run folder keeps this chat format. A definition may have got a line end in the file.
bool is_kept(const data::ChatFormat& chat, const fs::path& dir) {
  const auto without_end = [](const std::string& text) { return text.substr(0, text.find_last_not_of('\n') + 1); };
  return without_end(data::read_definition_file(dir / kTokenizerFile)) == without_end(chat.tokenizer().definition()) &&
         kept_template(dir).text == chat.template_text();
}

// Whether the task that was opened before the start is that of the run now. The folder may have got its first
// checkpoint since then, and the user may have changed a file of the task. `first`: this rank decides what the folder
// keeps.
bool is_current(const OpenedTask& opened, const configs::RunConfig& config, const fs::path& dir, bool first) {
  if (!opened.task && !opened.text) return false;
  if (opened.files != hash_of_files(with_files_of_run(config, dir))) return false;
  if (!opened.task) return true;
  return first ? opened.begun == has_begun(dir) : is_kept(*opened.task->chat(), dir);
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

OpenedTask open_task_before_run(const configs::RunConfig& config, const fs::path& dir) {
  OpenedTask opened;
  if (!needs_task(config)) return opened;
  opened.begun = has_begun(dir);
  // The files are hashed before the task reads them, so that a later change is noticed.
  opened.files = hash_of_files(with_files_of_run(config, dir));
  std::unique_ptr<const Task> task = kept_task(config, dir);
  const bool from_init = config.tokenizer.kind == "auto" && !config.model.init.empty();
  const bool from_text = task->tokenizer() == nullptr && has_stage(config, "pretrain") &&
                         config.tokenizer.path.empty() && config.tokenizer.kind != "byte" && !from_init &&
                         !opened.begun;
  if (from_text) {
    opened.text = std::move(task);
    return opened;
  }
  std::error_code ignored;
  configs::RunConfig present = config;  // a text that is missing decides nothing here
  if (!fs::exists(present.data.train, ignored)) present.data.train.clear();
  auto chat = task->tokenizer() == nullptr ? choose_chat_format(present, dir, opened.begun) : nullptr;
  opened.task = std::make_unique<TokenizedTask>(std::move(task), std::move(chat), config.run.seed);
  return opened;
}

Vocabulary open_vocabulary(const configs::RunConfig& config, const fs::path& dir, bool first, OpenedTask opened,
                           const Progress& progress) {
  const bool begun = !first || has_begun(dir);
  if (first && needs_task(config)) keep_task_files(config.task, dir, begun);
  if (!is_current(opened, config, dir, first)) opened = {};
  Vocabulary vocabulary;
  vocabulary.task = std::move(opened.task);
  if (!vocabulary.task) {
    std::unique_ptr<const Task> task = opened.text ? std::move(opened.text) : kept_task(config, dir);
    const bool own_tokens = task && task->tokenizer() != nullptr;
    if (!own_tokens) vocabulary.chat = choose_chat_format(config, dir, begun, progress);
    if (task) vocabulary.task = std::make_unique<TokenizedTask>(std::move(task), vocabulary.chat, config.run.seed);
  }
  if (vocabulary.task) vocabulary.chat = vocabulary.task->chat();
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
