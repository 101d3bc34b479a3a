// Compares the shapes before it touches a weight.
#include "trainer/saved_model/initial_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "base/errors.h"
#include "base/file_system.h"
#include "checkpoints/format/manifest.h"
#include "trainer/saved_model/adapter_config.h"
#include "trainer/saved_model/adapter_files.h"
#include "trainer/saved_model/hf_config.h"
#include "trainer/saved_model/model_files.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::trainer {

namespace {

// One line for each difference that gives the weights another meaning.
std::string differences(const ModelSpec& there, const ModelSpec& here) {
  std::string lines;
  const auto compare = [&](const char* key, const auto& theirs, const auto& ours) {
    if (theirs != ours) lines += fmt::format("\n  {}: {} there, {} here", key, theirs, ours);
  };
  compare("size of the vocabulary", there.vocab, here.vocab);
  compare("model.layers", there.layers, here.layers);
  compare("model.hidden_size", there.hidden_size, here.hidden_size);
  compare("model.heads", there.heads, here.heads);
  compare("model.kv_heads", there.kv_heads, here.kv_heads);
  compare("model.head_dim", there.head_dim, here.head_dim);
  compare("model.intermediate_size", there.intermediate_size, here.intermediate_size);
  compare("model.rope_theta", there.rope_theta, here.rope_theta);
  const configs::RopeScaling &a = there.rope_scaling, &b = here.rope_scaling;
  compare("model.rope_scaling.type", a.type, b.type);
  if (a.type == "llama3" && b.type == "llama3") {
    compare("model.rope_scaling.factor", a.factor, b.factor);
    compare("model.rope_scaling.low_freq_factor", a.low_freq_factor, b.low_freq_factor);
    compare("model.rope_scaling.high_freq_factor", a.high_freq_factor, b.high_freq_factor);
    compare("model.rope_scaling.original_max_seq_len", a.original_max_seq_len, b.original_max_seq_len);
  }
  compare("model.norm_eps", there.norm_eps, here.norm_eps);
  compare("model.qk_norm", there.qk_norm, here.qk_norm);
  compare("model.qkv_bias", there.qkv_bias, here.qkv_bias);
  compare("model.tie_embeddings", there.tie_embeddings, here.tie_embeddings);
  return lines;
}

// Selects the parts of the model's weights that this rank owns. It reads nothing of a weight with another shape, which
// is refused later. Adapters are read whole, and so are weights that stay frozen.
checkpoints::Wanted owned_weights(const Transformer& model) {
  return [&model, layout = ParamLayout(model.spec())](
             const std::string& name, const std::vector<int64_t>& shape) -> std::optional<checkpoints::Range> {
    const auto whole = weights_only(name, shape);
    if (!whole || is_adapter_weight(name)) return whole;
    const std::vector<ParamInfo>& infos = layout.infos;
    const bool ours = std::any_of(infos.begin(), infos.end(),
                                  [&](const ParamInfo& info) { return info.name == name && info.shape == shape; });
    return ours ? model.params().wanted(name, shape) : checkpoints::Range{};
  };
}

ConfigError misfit(const std::filesystem::path& source, const std::string& lines) {
  return ConfigError(fmt::format(
      "model.init: the weights of {} are those of another model:{}\nLeave out the options of this run that differ, or "
      "leave model.init out",
      source.string(), lines));
}

void require_fit(const checkpoints::Store::Loaded& loaded, const ModelSpec& here, const std::string& tokenizer) {
  if (!loaded.state.files.contains(kShapeFile)) {
    throw ConfigError(fmt::format(
        "model.init: {} has no {}, because an older build of terse saved it. Let this build continue its run, and name "
        "the checkpoint that it saves",
        loaded.path.string(), kShapeFile));
  }
  std::string lines = differences(saved_spec(loaded), here);
  if (const std::string theirs = saved_tokenizer(loaded); theirs != tokenizer) {
    lines += fmt::format("\n  tokenizer: {} there, {} here", theirs.empty() ? "unknown" : theirs, tokenizer);
  }
  if (!lines.empty()) throw misfit(loaded.path, lines);
}

InitialWeights from_checkpoint(Transformer& model, const checkpoints::Store::Loaded& loaded,
                               const std::string& tokenizer) {
  require_fit(loaded, model.spec(), tokenizer);
  const ModelSpec there = saved_spec(loaded);
  const ReadParameter read = read_from(loaded.state);
  std::optional<AdapterMerge> merge;
  if (there.has_adapters()) merge.emplace(there, read);
  model.fill([&](const ParamInfo& info, int64_t begin, int64_t end, float* out) {
    read(info, begin, end, out);
    if (merge) merge->add(info, begin, end, out);
  });
  InitialWeights result;
  if (merge) result.notes.push_back("model.init: the adapters of the checkpoint are merged into its weights");
  for (const std::string& defect : loaded.rejected) {
    result.notes.push_back(
        fmt::format("model.init: damaged checkpoint {}; using {} instead", defect, loaded.path.filename().string()));
  }
  result.notes.push_back(fmt::format("weights of {} (step {} of its run, manifest {})", loaded.path.string(),
                                     loaded.info.step, loaded.manifest_sha256));
  result.origin = {
      {"path", loaded.path.string()}, {"step", loaded.info.step}, {"manifest_sha256", loaded.manifest_sha256}};
  return result;
}

InitialWeights from_model_files(Transformer& model, const std::filesystem::path& source) {
  const std::unique_ptr<ModelFiles> files = open_model_files(source);
  if (const std::string lines = differences(files->spec(), model.spec()); !lines.empty()) throw misfit(source, lines);
  model.fill(
      [&](const ParamInfo& info, int64_t begin, int64_t end, float* out) { files->read(info, begin, end, out); });
  InitialWeights result{.origin = {{"path", source.string()}}, .notes = files->notes()};
  result.notes.push_back(fmt::format("weights of {}", source.string()));
  return result;
}

[[noreturn]] void refuse_source(const std::filesystem::path& source) {
  throw ConfigError(fmt::format(
      "model.init: {} holds no model. Name a folder with a config.json and *.safetensors, a GGUF file, a checkpoint "
      "folder (step-N), or a run folder after its first save",
      source.string()));
}

// One line for each difference between the adapters of a folder and those of this run.
std::string differences(const configs::Lora& there, const configs::Lora& here) {
  std::string lines;
  const auto compare = [&](const char* key, const auto& theirs, const auto& ours) {
    if (theirs != ours) lines += fmt::format("\n  {}: {} there, {} here", key, theirs, ours);
  };
  const auto text = [](std::vector<std::string> targets) {
    std::sort(targets.begin(), targets.end());
    return fmt::format("[{}]", fmt::join(targets, ", "));
  };
  compare("lora.rank", there.rank, here.rank);
  compare("lora.alpha", there.alpha, here.alpha);
  compare("lora.targets", text(there.targets), text(here.targets));
  return lines;
}

}  // namespace

std::optional<configs::Model> shape_of(const std::filesystem::path& source) {
  if (is_model_files(source)) return options_of(open_model_files(source)->spec());
  std::vector<std::filesystem::path> checkpoints = {source};
  if (!checkpoints::is_checkpoint(source)) checkpoints = checkpoints::list_checkpoints(source / "checkpoints");
  for (const std::filesystem::path& checkpoint : checkpoints) {
    const std::filesystem::path file = checkpoint / kShapeFile;
    if (posix_file_system()->kind(file) != EntryKind::kFile) continue;
    try {
      const std::string text = posix_file_system()->read(file, checkpoints::kMaxTextBytes);
      return options_of(spec_from_hf_config(checkpoints::parse_json(text)));
    } catch (const DataError& error) {
      throw DataError(fmt::format("model.init: {}: {}", file.string(), error.what()));
    }
  }
  return std::nullopt;
}

InitialWeights load_initial_weights(Transformer& model, const std::filesystem::path& source,
                                    const std::string& tokenizer, const checkpoints::Readers& readers) {
  if (is_model_files(source)) return from_model_files(model, source);
  const auto loaded = load_target(source, owned_weights(model), readers);
  if (!loaded) refuse_source(source);
  return from_checkpoint(model, *loaded, tokenizer);
}

InitialWeights load_initial_adapters(Transformer& model, const std::filesystem::path& source) {
  if (!is_adapter(source)) {
    throw ConfigError(fmt::format("lora.init: {} holds no adapter of PEFT. Name a folder with {} and {}",
                                  source.string(), kAdapterConfig, kAdapterWeights));
  }
  const AdapterFiles files(source, model.spec());
  if (const std::string lines = differences(files.spec().lora, model.spec().lora); !lines.empty()) {
    throw ConfigError(
        fmt::format("lora.init: the adapters of {} differ from those of this run:{}", source.string(), lines));
  }
  model.fill_adapters(
      [&](const ParamInfo& info, int64_t begin, int64_t end, float* out) { files.read(info, begin, end, out); });
  return {.origin = source.string(), .notes = {fmt::format("adapters of {}", source.string())}};
}

}  // namespace terse::trainer
