// Writes and reads the description of a checkpoint. A description that does not fit the weights is found before memory
// is allocated for a model.
#include "trainer/saved_model/saved_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "base/errors.h"
#include "base/formats/tensor_shape.h"
#include "checkpoints/format/manifest.h"
#include "configs/load.h"
#include "trainer/model/block_weights.h"
#include "trainer/model/param_layout.h"
#include "trainer/saved_model/adapter_config.h"
#include "trainer/saved_model/hf_config.h"

namespace terse::trainer {

namespace fs = std::filesystem;

namespace {

// The names of the training state begin otherwise: "optimizer.m/model.norm.weight", "apprentice/model.norm.weight".
bool is_weight(const std::string& name) {
  return name.starts_with("model.") || name.starts_with("lm_head.") || is_adapter_weight(name);
}

// Reads the text file `name` of a checkpoint; errors name the file.
template <class Read>
auto read_text_file(const checkpoints::Store::Loaded& loaded, const char* name, const Read& read) {
  try {
    return read(checkpoints::parse_json(loaded.state.files.at(name)));
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", (loaded.path / name).string(), error.what()));
  }
}

}  // namespace

std::map<std::string, std::string> self_description(const configs::RunConfig& config, const ModelSpec& spec,
                                                    const data::ChatFormat& chat) {
  const data::Tokenizer& tokenizer = chat.tokenizer();
  std::map<std::string, std::string> files = {
      {kShapeFile, to_hf_config(spec, tokenizer.bos(), tokenizer.eos_ids()).dump(2) + "\n"},
      {kVocabularyFile, tokenizer.definition() + "\n"},
      {kRunConfigFile, configs::to_yaml(config)}};
  if (chat.has_template()) files[kChatTemplateFile] = chat.template_text();
  if (spec.has_adapters()) files[kAdapterConfig] = to_adapter_config(spec.lora, config.model.init).dump(2) + "\n";
  return files;
}

std::optional<checkpoints::Store::Loaded> load_target(const fs::path& target, const checkpoints::Wanted& wanted,
                                                      const checkpoints::Readers& readers) {
  std::error_code ignored;
  std::string kind = "neither";
  if (checkpoints::is_checkpoint(target)) {
    kind = "checkpoint";
  } else if (fs::is_directory(target / "checkpoints", ignored)) {
    kind = "run";
  }
  if (readers.ranks > 1) kind = readers.exchange(kind).front();
  if (kind == "checkpoint") return checkpoints::load(target, wanted, readers);
  if (kind == "run") return checkpoints::load_latest(target / "checkpoints", wanted, readers);
  return std::nullopt;
}

std::optional<checkpoints::Range> weights_only(const std::string& name, const std::vector<int64_t>& shape) {
  if (!is_weight(name)) return std::nullopt;
  return checkpoints::Range{0, element_count(shape).value()};
}

ModelSpec saved_spec(const checkpoints::Store::Loaded& loaded) {
  if (!loaded.state.files.contains(kShapeFile)) {
    throw DataError(fmt::format("checkpoint {} has no {}", loaded.path.string(), kShapeFile));
  }
  ModelSpec spec = read_text_file(loaded, kShapeFile, spec_from_hf_config);
  if (loaded.state.files.contains(kAdapterConfig))
    spec.lora = read_text_file(loaded, kAdapterConfig, lora_from_adapter_config);
  require_weights(spec, loaded);
  return spec;
}

void require_weights(const ModelSpec& spec, const checkpoints::Store::Loaded& loaded) {
  std::set<std::string> known;
  std::vector<ParamInfo> infos = ParamLayout(spec).infos;
  if (spec.has_adapters()) {
    const std::vector<ParamInfo> adapters = ParamLayout(spec, WeightSet::kAdapters).infos;
    infos.insert(infos.end(), adapters.begin(), adapters.end());
  }
  for (const ParamInfo& info : infos) {
    known.insert(info.name);
    const auto saved = loaded.state.tensors.find(info.name);
    if (saved == loaded.state.tensors.end()) {
      throw DataError(fmt::format("checkpoint {} has no tensor {}, which a model of its shape has with shape [{}]",
                                  loaded.path.string(), info.name, fmt::join(info.shape, ", ")));
    }
    if (saved->second.shape == info.shape) continue;
    throw DataError(fmt::format("checkpoint {}: tensor {} has shape [{}], a model of its shape has [{}]",
                                loaded.path.string(), info.name, fmt::join(saved->second.shape, ", "),
                                fmt::join(info.shape, ", ")));
  }
  for (const auto& [name, shard] : loaded.state.tensors) {
    if (!is_weight(name) || known.contains(name)) continue;
    throw DataError(fmt::format("checkpoint {}: tensor {} with shape [{}] is no part of a model of its shape",
                                loaded.path.string(), name, fmt::join(shard.shape, ", ")));
  }
}

std::string saved_tokenizer(const checkpoints::Store::Loaded& loaded) {
  const nlohmann::json& extra = loaded.state.extra;
  const auto found = extra.find("tokenizer");  // end() unless `extra` is an object
  return found != extra.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace terse::trainer
