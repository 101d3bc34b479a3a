// The vocabulary of a run: its task, its corpus, and the chat format with the tokenizer that they share. A run folder
// keeps the tokenizer (tokenizer.json), the chat template (chat_template.jinja), the files of its task, the tokens of
// its text files and a record of these files (data/). So a run needs nothing outside its folder once it has begun, and
// every reader of the folder gets the vocabulary that its weights were trained with.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "configs/run_config.h"
#include "data/conversations/conversations.h"
#include "data/corpus.h"
#include "rl/tasks/tokenized_task.h"

namespace terse::rl {

// The tokenizer's definition in a run folder.
constexpr const char* kTokenizerFile = "tokenizer.json";

struct Vocabulary {
  std::unique_ptr<TokenizedTask> task;               // null if no stage needs one
  std::optional<data::Corpus> corpus;                // empty if no stage pretrains
  std::optional<data::Conversations> conversations;  // empty if no stage learns from any
  std::shared_ptr<const data::ChatFormat> chat;

  const data::Tokenizer& tokenizer() const { return chat->tokenizer(); }
};

// The task of a run that has not started yet, and what it was made from.
struct OpenedTask {
  std::unique_ptr<TokenizedTask> task;  // null if no stage needs one, or if `text` has it
  std::unique_ptr<const Task> text;     // the task, where a text that nobody has read yet decides the tokenizer
  bool begun = false;                   // the run had a checkpoint
  std::string files;                    // hash of the task's files
};

// Opens the task with the tokenizer that the run will have. `dir` is the run folder, which keeps the tokenizer and the
// files of a run that has begun; empty: there is none. Throws what make_task throws, and ConfigError or DataError when
// there is no such tokenizer.
OpenedTask open_task_before_run(const configs::RunConfig& config, const std::filesystem::path& dir = {});

// Returns whether a stage of the run needs its task. Fine-tuning on conversations alone does not.
bool needs_task(const configs::RunConfig& config);

// Opens the vocabulary for training. The `first` rank must call this before the others: it creates the files in the run
// folder, and the others read them. Once a run has saved a checkpoint, its tokenizer and its input files must not
// change. `opened` is the task from before the start; it is used as long as it is still the task of the run, because it
// may take seconds to make. `progress` is called repeatedly while text is read. Throws ConfigError naming the file that
// has changed, or when task and corpus cannot share a tokenizer; DataError, DiskError.
Vocabulary open_vocabulary(const configs::RunConfig& config, const std::filesystem::path& dir, bool first,
                           OpenedTask opened = {}, const Progress& progress = {});

// Whether a reader of a saved model can do without the task when its files are missing. Generation can, evaluation
// cannot.
enum class TaskUse { kRequired, kOptional };

// Opens the vocabulary for evaluation and generation: the config's task and the run folder's tokenizer, but no corpus.
// Throws ConfigError when the folder, made by an older build, has no tokenizer, std::invalid_argument when the task has
// another tokenizer, and DiskError when a file of a required task is missing.
Vocabulary kept_vocabulary(const configs::RunConfig& config, const std::filesystem::path& dir, TaskUse use);
// Does the same for a checkpoint that holds its tokenizer and its chat template. The files of the task come from the
// run folder `dir`, if there is one.
Vocabulary saved_vocabulary(const configs::RunConfig& config, std::shared_ptr<const data::ChatFormat> chat,
                            const std::filesystem::path& dir, TaskUse use);

}  // namespace terse::rl
