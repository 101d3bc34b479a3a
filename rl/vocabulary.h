// What a run's tokens mean: its task, its corpus, and the tokenizer that they share.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "configs/run_config.h"
#include "data/corpus.h"
#include "rl/env/task.h"

namespace terse::rl {

struct Vocabulary {
  std::unique_ptr<Task> task;          // where a stage needs one
  std::optional<data::Corpus> corpus;  // where a stage pretrains
  std::shared_ptr<const data::Tokenizer> tokenizer;
};

// Token stores are cached in `dir`/data; `progress` is called now and then while text is read. Throws
// configs::ConfigError when task and corpus cannot share a tokenizer.
Vocabulary open_vocabulary(const configs::RunConfig& config, const std::filesystem::path& dir,
                           const data::Progress& progress = {});

}  // namespace terse::rl
