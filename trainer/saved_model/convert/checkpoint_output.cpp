// Writes a checkpoint that no run has saved: it has weights and the files that describe them, and no training state. So
// it evaluates, generates and begins other runs, and no run continues from it.
#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/file_system.h"
#include "checkpoints/folder.h"
#include "checkpoints/streaming/streamed_save.h"
#include "configs/load.h"
#include "trainer/saved_model/convert/outputs.h"
#include "trainer/saved_model/hf_config.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::trainer {

namespace fs = std::filesystem;

namespace {

constexpr const char* kStage = "convert";

// The configuration of a model that was pretrained elsewhere. It has no stage that uses a task.
configs::RunConfig plain_config(const ConvertSource& source) {
  configs::RunConfig config;
  config.model = options_of(source.model->spec());
  config.stages = {"pretrain"};
  config.pretrain.steps = 1;
  config.data.train = source.path.string();
  return config;
}

// Its text leaves the task out, which then has its defaults: an empty name is none of a task.
std::string plain_config_text(const ConvertSource& source) {
  std::string text = configs::to_yaml(plain_config(source));
  const size_t begin = text.find("\ntask:\n");
  if (begin == std::string::npos) return text;
  size_t end = text.find('\n', begin + 1);
  while (end + 1 < text.size() && (text[end + 1] == ' ' || text[end + 1] == '\n')) end = text.find('\n', end + 1);
  return text.erase(begin, end - begin);
}

std::map<std::string, std::string> description_of(const ConvertSource& source, const std::string& run_config) {
  const data::Tokenizer& tokenizer = *source.vocabulary.tokenizer;
  std::map<std::string, std::string> files = {
      {kShapeFile, to_hf_config(source.model->spec(), tokenizer.bos(), tokenizer.eos_ids()).dump(2) + "\n"},
      {kVocabularyFile, tokenizer.definition() + "\n"},
      {kRunConfigFile, run_config}};
  if (!source.vocabulary.chat_template.empty()) files[kChatTemplateFile] = source.vocabulary.chat_template;
  return files;
}

checkpoints::CheckpointInfo info_of(const ConvertSource& source, const fs::path& final) {
  checkpoints::CheckpointInfo info;
  if (source.checkpoint != nullptr) {
    info = source.checkpoint->info();
  } else {
    info.stage = kStage;
    info.config_hash = configs::numerics_hash(plain_config(source));
    info.score = std::numeric_limits<double>::quiet_NaN();
  }
  const fs::path name = final.has_filename() ? final.filename() : final.parent_path().filename();
  info.step = checkpoints::parse_step(name.string()).value_or(info.step);
  return info;
}

}  // namespace

void write_checkpoint_folder(const fs::path& folder, const fs::path& final, const ConvertSource& source,
                             const std::vector<OutputWeight>& weights, WrittenBytes& written) {
  if (source.vocabulary.tokenizer == nullptr) {
    throw std::invalid_argument(fmt::format(
        "{} has no tokenizer, and a checkpoint needs one. Put the tokenizer.json of the model beside its weights",
        source.path.string()));
  }
  checkpoints::StateDict description;
  description.extra = {{"tokenizer", source.vocabulary.tokenizer->id()}, {"init", {{"path", source.path.string()}}}};
  const std::string run_config = source.checkpoint != nullptr && source.checkpoint->texts().contains(kRunConfigFile)
                                     ? source.checkpoint->texts().at(kRunConfigFile)
                                     : plain_config_text(source);
  description.files = description_of(source, run_config);
  std::map<std::string, const OutputWeight*> by_name;
  for (const OutputWeight& weight : weights) by_name[weight.name] = &weight;
  std::vector<checkpoints::Piece> tensors;
  for (const auto& [name, weight] : by_name) {
    tensors.push_back({name, checkpoints::find_dtype(torch::kFloat32), weight->info.shape, 0, weight->info.numel()});
  }
  const auto read = [&](const checkpoints::Piece& piece) {
    torch::Tensor data = torch::empty({piece.elements()}, torch::kFloat32);
    source.model->read(by_name.at(piece.name)->info, piece.begin, piece.end, data.mutable_data_ptr<float>());
    written.add(piece.bytes());
    return data;
  };
  checkpoints::save_streamed(*posix_file_system(), folder, info_of(source, final), description, tensors, read);
}

}  // namespace terse::trainer
