// The model that is converted, in whatever format it is.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "trainer/saved_model/checkpoint_model.h"
#include "trainer/saved_model/model_files.h"
#include "trainer/saved_model/model_vocabulary.h"

namespace terse::trainer {

struct ConvertSource {
  std::filesystem::path path;  // as the user named it
  std::string name;            // of the model, for people: the last part of the path
  std::unique_ptr<ModelFiles> model;
  const CheckpointModel* checkpoint = nullptr;  // owned by `model`; null: it is no checkpoint
  bool is_hf = false, is_gguf = false;
  ModelVocabulary vocabulary;
};

// `adapter`: a folder of PEFT, whose adapters are merged into the weights; empty: none. `with_vocabulary`: reads the
// tokenizer and the chat template. Throws std::invalid_argument when the path holds no model; DataError and DiskError.
ConvertSource open_source(const std::filesystem::path& path, const std::filesystem::path& adapter,
                          bool with_vocabulary);

// Returns what the source holds beside what any format has: "vocab.json, merges.txt". Empty: nothing.
std::vector<std::string> extra_content(const ConvertSource& source);

}  // namespace terse::trainer
