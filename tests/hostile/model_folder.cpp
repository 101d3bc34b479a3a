// Calls what opens model.init. Only this file of the program includes LibTorch.
#include "tests/hostile/model_folder.h"

#include <vector>

#include "trainer/model/param_layout.h"
#include "trainer/saved_model/model_files.h"

namespace terse::support {

void read_weights(const std::filesystem::path& model) {
  const auto files = trainer::open_model_files(model);
  for (const trainer::ParamInfo& info : trainer::ParamLayout(files->spec()).infos) {
    std::vector<float> values(static_cast<size_t>(info.numel()));
    files->read(info, 0, info.numel(), values.data());
  }
}

trainer::ModelVocabulary read_vocabulary(const std::filesystem::path& model) {
  trainer::ModelVocabulary vocabulary = trainer::load_model_vocabulary(model);
  if (vocabulary.tokenizer != nullptr) {
    try {
      vocabulary.tokenizer->encode("abc def 123 <eos>");
    } catch (const data::EncodeError&) {  // the vocabulary has not all of these characters
    }
  }
  return vocabulary;
}

}  // namespace terse::support
