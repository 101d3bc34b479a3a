// A task brings its own symbols; a corpus is read in them, or in the tokenizer that the config names.
#include "rl/vocabulary.h"

#include <algorithm>

namespace terse::rl {

Vocabulary open_vocabulary(const configs::RunConfig& config, const std::filesystem::path& dir,
                           const data::Progress& progress) {
  const auto has = [&](const char* stage) {
    return std::find(config.stages.begin(), config.stages.end(), stage) != config.stages.end();
  };
  Vocabulary vocabulary;
  if (has("sft") || has("rl") || has("eval")) {
    vocabulary.task = make_task(config.task, config.run.seed);
    // The task outlives every user of the tokenizer: both are the vocabulary's.
    vocabulary.tokenizer =
        std::shared_ptr<const data::Tokenizer>(&vocabulary.task->tokenizer(), [](const data::Tokenizer*) {});
  }
  if (has("pretrain")) {
    vocabulary.corpus = vocabulary.task ? data::open_corpus(config.data, vocabulary.tokenizer, dir / "data", progress)
                                        : data::open_corpus(config.data, config.tokenizer, dir / "data", progress);
    vocabulary.tokenizer = vocabulary.corpus->tokenizer;
  }
  return vocabulary;
}

}  // namespace terse::rl
