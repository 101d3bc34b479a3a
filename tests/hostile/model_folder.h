// A folder with a sound model, of which a test replaces one file, and the reading of it as model.init does it.
#pragma once

#include <filesystem>
#include <string>

#include "tests/support/temporary_folder.h"
#include "trainer/saved_model/model_vocabulary.h"

namespace terse::support {

inline std::filesystem::path model_fixture(const std::string& name) {
  return std::filesystem::path(TERSE_SOURCE_DIR) / "tests/trainer/saved_model/fixtures/llama" / name;
}

class ModelFolder {
 public:
  ModelFolder() {
    std::filesystem::create_directory(path());
    for (const char* name : {"config.json", "model.safetensors"}) {
      std::filesystem::copy_file(model_fixture(name), path() / name);
    }
  }
  std::filesystem::path path() const { return std::filesystem::canonical(folder_.path()) / "model"; }
  std::string sound(const char* name) const { return read_file(path() / name); }

 private:
  TemporaryFolder folder_;
};

// Opens the model and reads every weight.
void read_weights(const std::filesystem::path& model);

// Loads the tokenizer and the chat template of the model, and encodes some words.
trainer::ModelVocabulary read_vocabulary(const std::filesystem::path& model);

}  // namespace terse::support
