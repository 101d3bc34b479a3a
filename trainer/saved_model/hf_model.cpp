// The names of our parameters are those of Hugging Face, so tensors are found by name.
#include "trainer/saved_model/hf_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/errors.h"
#include "base/file_system.h"
#include "base/formats/safetensors/folder.h"
#include "base/formats/tensor_shape.h"
#include "checkpoints/format/manifest.h"
#include "trainer/saved_model/hf_config.h"

namespace terse::trainer {

namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr uint64_t kMaxConfigBytes = 16u << 20;

ModelSpec read_spec(const fs::path& folder) {
  const fs::path file = folder / kConfig;
  const std::string text = read_input(file, kMaxConfigBytes);
  try {
    return spec_from_hf_config(checkpoints::parse_json(text));
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", file.string(), error.what()));
  }
}

// Tensors that old files hold beside the weights. Every reader computes them itself.
bool is_derived(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq");
}

class HfModel final : public ModelFiles {
 public:
  explicit HfModel(const fs::path& path) : ModelFiles(path, read_spec(path)), tensors_(path) { require_tensors(); }

  void read(const ParamInfo& info, int64_t begin, int64_t end, float* out) const override {
    const auto [file, tensor] = tensors_.tensor(info.name);
    const int64_t columns = row_elements(info.shape);
    read_by_rows(columns, begin, end, out, [&](int64_t first, int64_t count, std::span<float> values) {
      file->read_rows(*tensor, first, count, values);
      file->release(file->rows(*tensor, first, count));
    });
  }

  GgmlType stored_type(const ParamInfo& info) const override {
    switch (tensors_.tensor(info.name).tensor->dtype) {
      case SafetensorsDtype::kF16:
        return GgmlType::kF16;
      case SafetensorsDtype::kBF16:
        return GgmlType::kBF16;
      default:
        return GgmlType::kF32;
    }
  }

 private:
  void require_tensors() {
    std::set<std::string, std::less<>> known;
    for (const ParamInfo& info : ParamLayout(spec_).infos) {
      known.insert(info.name);
      const auto [file, tensor] = tensors_.find(info.name);
      if (tensor == nullptr) {
        throw DataError(fmt::format("{} has no tensor {}, which a model of {} has", tensors_.source().string(),
                                    quote(info.name), (path_ / kConfig).string()));
      }
      if (tensor->shape == info.shape) continue;
      throw DataError(fmt::format("{}: tensor {} has shape [{}]; a model of {} has [{}]", file->name(), info.name,
                                  fmt::join(tensor->shape, ", "), (path_ / kConfig).string(),
                                  fmt::join(info.shape, ", ")));
    }
    for (const auto& [file, tensor] : tensors_.tensors()) {
      if (known.contains(tensor->name) || is_derived(tensor->name)) continue;
      if (tensor->name == "lm_head.weight") {
        notes_.push_back(
            fmt::format("{}: lm_head.weight is not used, because tie_word_embeddings is true", file->name()));
        continue;
      }
      throw DataError(fmt::format("{}: tensor {} with shape [{}] is no part of a model of {}", file->name(),
                                  quote(tensor->name), fmt::join(tensor->shape, ", "), (path_ / kConfig).string()));
    }
  }

  SafetensorsFolder tensors_;
};

}  // namespace

bool is_hf_file(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames = {
      kConfig,          kSafetensorsIndex,       "generation_config.json", "chat_template.jinja",
      "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"};
  return (name.starts_with("model") && name.ends_with(".safetensors")) ||
         std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

bool is_hf_model(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path / kConfig, ignored) && (fs::is_regular_file(path / kSafetensorsFile, ignored) ||
                                                          fs::is_regular_file(path / kSafetensorsIndex, ignored));
}

std::unique_ptr<ModelFiles> open_hf_model(const fs::path& path) {
  return std::make_unique<HfModel>(path);
}

}  // namespace terse::trainer
