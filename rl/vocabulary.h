// What a run's tokens mean: its task, its corpus, and the tokenizer that they share. A run folder keeps the tokenizer
// (tokenizer.json), the tokens of its text files and a record of these files (data/). So a run needs nothing outside
// its folder once it has begun, and whoever reads it gets the vocabulary that its weights were trained with.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "configs/run_config.h"
#include "data/corpus.h"
#include "rl/env/task.h"

namespace terse::rl {

// The tokenizer's definition in a run folder.
constexpr const char* kTokenizerFile = "tokenizer.json";

struct Vocabulary {
  std::unique_ptr<Task> task;          // where a stage needs one
  std::optional<data::Corpus> corpus;  // where a stage pretrains
  std::shared_ptr<const data::Tokenizer> tokenizer;
};

// To train with. The `first` rank comes before the others: it makes what the folder keeps, and they find it there. A
// run that has saved a checkpoint has begun: its tokenizer and its input files must then be what they were. `progress`
// is called now and then while text is read. Throws ConfigError naming the file that has changed, or when
// task and corpus cannot share a tokenizer; DataError, DiskError.
Vocabulary open_vocabulary(const configs::RunConfig& config, const std::filesystem::path& dir, bool first,
                           const Progress& progress = {});

// To evaluate and to generate with: task and tokenizer as the run folder keeps them, no corpus. Throws
// ConfigError when the folder of an older build keeps no tokenizer.
Vocabulary kept_vocabulary(const configs::RunConfig& config, const std::filesystem::path& dir);

}  // namespace terse::rl
