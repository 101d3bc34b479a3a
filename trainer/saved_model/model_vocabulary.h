// The tokenizer and the chat template of a model: of a Hugging Face folder, a GGUF file, a checkpoint or a run folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "data/tokenizers/tokenizer.h"

namespace terse::trainer {

struct ModelVocabulary {
  std::shared_ptr<const data::Tokenizer> tokenizer;  // null: the model has none
  std::string chat_template;                         // the text of the template; empty: the model has none
  std::string template_name;                         // for messages: the file that holds it, and the key in it
};

// Returns what `source` tells of itself. A source that is no model has neither. Throws DataError that names the file
// and the key, and DiskError.
ModelVocabulary load_model_vocabulary(const std::filesystem::path& source);

}  // namespace terse::trainer
