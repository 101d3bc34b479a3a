// Compares the shapes before it touches a weight.
#include "trainer/saved_model/initial_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
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
// is refused later.
checkpoints::Wanted owned_weights(const FlatParams& params) {
  return [&params](const std::string& name, const std::vector<int64_t>& shape) -> std::optional<checkpoints::Range> {
    if (!weights_only(name, shape)) return std::nullopt;
    const std::vector<ParamInfo>& infos = params.layout().infos;
    const bool ours = std::any_of(infos.begin(), infos.end(),
                                  [&](const ParamInfo& info) { return info.name == name && info.shape == shape; });
    return ours ? params.wanted(name, shape) : checkpoints::Range{};
  };
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
  if (lines.empty()) return;
  throw ConfigError(fmt::format(
      "model.init: the weights of {} are those of another model:{}\nGive this run the values of that one, or leave "
      "model.init out",
      loaded.path.string(), lines));
}

}  // namespace

InitialWeights load_initial_weights(Transformer& model, const std::filesystem::path& source,
                                    const std::string& tokenizer, const checkpoints::Readers& readers) {
  const auto loaded = load_target(source, owned_weights(model.params()), readers);
  if (!loaded) {
    throw ConfigError(fmt::format(
        "model.init: {} holds no checkpoint, and this run has none of its own yet. Name a checkpoint folder (step-N), "
        "or a run folder after its first save",
        source.string()));
  }
  require_fit(*loaded, model.spec(), tokenizer);
  model.restore(loaded->state);
  InitialWeights result;
  for (const std::string& defect : loaded->rejected) {
    result.notes.push_back(
        fmt::format("model.init: damaged checkpoint {}; using {} instead", defect, loaded->path.filename().string()));
  }
  result.notes.push_back(fmt::format("weights of {} (step {} of its run, manifest {})", loaded->path.string(),
                                     loaded->info.step, loaded->manifest_sha256));
  result.origin = {
      {"path", loaded->path.string()}, {"step", loaded->info.step}, {"manifest_sha256", loaded->manifest_sha256}};
  return result;
}

}  // namespace terse::trainer
