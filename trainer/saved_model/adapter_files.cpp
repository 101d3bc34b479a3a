// The tensors of a checkpoint have the names of PEFT already, so tensors are found by name.
#include "trainer/saved_model/adapter_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <span>
#include <string_view>

#include "base/durable.h"
#include "base/errors.h"
#include "base/file_system.h"
#include "base/formats/safetensors/writer.h"
#include "base/formats/tensor_shape.h"
#include "checkpoints/format/manifest.h"
#include "trainer/kernels/kernels.h"
#include "trainer/saved_model/adapter_config.h"

namespace terse::trainer {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kMaxConfigBytes = 16u << 20;
constexpr int64_t kRows = 64;  // of a weight that are merged at a time

ModelSpec with_lora(ModelSpec spec, const fs::path& folder) {
  const fs::path file = folder / kAdapterConfig;
  const std::string text = read_input(file, kMaxConfigBytes);
  try {
    spec.lora = lora_from_adapter_config(checkpoints::parse_json(text));
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", file.string(), error.what()));
  }
  return spec;
}

class MergedModel final : public ModelFiles {
 public:
  MergedModel(std::unique_ptr<ModelFiles> model, const fs::path& folder)
      : ModelFiles(model->path(), model->spec()),
        model_(std::move(model)),
        adapter_(folder, spec_),
        merge_(adapter_.spec(), [this](const ParamInfo& info, int64_t begin, int64_t end, float* out) {
          adapter_.read(info, begin, end, out);
        }) {
    notes_ = model_->notes();
    notes_.push_back(fmt::format("the adapters of {} are merged into the weights", folder.string()));
  }

  void read(const ParamInfo& info, int64_t begin, int64_t end, float* out) const override {
    model_->read(info, begin, end, out);
    merge_.add(info, begin, end, out);
  }
  GgmlType stored_type(const ParamInfo& info) const override { return model_->stored_type(info); }

 private:
  std::unique_ptr<ModelFiles> model_;
  AdapterFiles adapter_;
  mutable AdapterMerge merge_;
};

}  // namespace

AdapterFiles::AdapterFiles(fs::path folder, const ModelSpec& model)
    : folder_(std::move(folder)), spec_(with_lora(model, folder_)), tensors_(folder_ / kAdapterWeights) {
  std::set<std::string, std::less<>> known;
  for (const ParamInfo& info : ParamLayout(spec_, WeightSet::kAdapters).infos) {
    known.insert(info.name);
    const SafetensorsTensor& tensor = tensors_.tensor(info.name);
    if (tensor.shape == info.shape) continue;
    throw DataError(fmt::format("{}: tensor {} has shape [{}]; an adapter of this model has [{}]", tensors_.name(),
                                info.name, fmt::join(tensor.shape, ", "), fmt::join(info.shape, ", ")));
  }
  for (const SafetensorsTensor& tensor : tensors_.tensors()) {
    if (known.contains(tensor.name)) continue;
    throw DataError(fmt::format("{}: tensor {} with shape [{}] is no part of an adapter of this model", tensors_.name(),
                                tensor.name, fmt::join(tensor.shape, ", ")));
  }
}

void AdapterFiles::read(const ParamInfo& info, int64_t begin, int64_t end, float* out) const {
  const SafetensorsTensor& tensor = tensors_.tensor(info.name);
  read_by_rows(row_elements(info.shape), begin, end, out, [&](int64_t first, int64_t count, std::span<float> values) {
    tensors_.read_rows(tensor, first, count, values);
  });
}

bool is_adapter(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path / kAdapterConfig, ignored) && fs::is_regular_file(path / kAdapterWeights, ignored);
}

void write_adapter(const fs::path& folder, const ModelSpec& spec, const checkpoints::StateDict& state,
                   const std::string& base_model) {
  for (const char* name : {kAdapterConfig, kAdapterWeights}) {
    if (posix_file_system()->kind(folder / name) == EntryKind::kNone) continue;
    throw ConfigError(fmt::format("{} exists; name another folder for the adapter", (folder / name).string()));
  }
  std::vector<SafetensorsSpec> specs;
  for (const ParamInfo& info : ParamLayout(spec, WeightSet::kAdapters).infos)
    specs.push_back({info.name, SafetensorsDtype::kF32, info.shape});
  SafetensorsWriter writer(folder / kAdapterWeights, specs, {{"format", "pt"}});
  for (const SafetensorsSpec& tensor : writer.tensors()) {
    const torch::Tensor values = state.whole(tensor.name).to(torch::kCPU, torch::kFloat32).contiguous();
    writer.write(tensor.name, {static_cast<const char*>(values.data_ptr()), values.nbytes()});
  }
  writer.finish();
  write_durably(folder / kAdapterConfig, to_adapter_config(spec.lora, base_model).dump(2) + "\n");
}

AdapterMerge::AdapterMerge(const ModelSpec& spec, ReadParameter read)
    : scale_(spec.adapter_scale()), read_(std::move(read)) {
  for (int64_t layer = 0; layer < spec.layers; ++layer) {
    for (const BlockWeight& weight : block_weights(spec)) {
      for (const BlockWeight::Part& part : weight.parts) {
        if (!has_adapter(spec, part)) continue;
        const AdapterNames names = adapter_names(layer, part);
        const ParamInfo a{names.a, {spec.lora.rank, weight.columns}}, b{names.b, {part.rows, spec.lora.rank}};
        pairs_[fmt::format("model.layers.{}.{}", layer, part.name)] = {a, b};
      }
    }
  }
}

void AdapterMerge::add(const ParamInfo& info, int64_t begin, int64_t end, float* values) {
  const auto found = pairs_.find(info.name);
  if (found == pairs_.end() || begin == end) return;
  const auto& [a, b] = found->second;
  if (held_ != info.name) {
    a_ = torch::empty(a.shape, torch::kFloat32);
    b_ = torch::empty(b.shape, torch::kFloat32);
    read_(a, 0, a.numel(), a_.data_ptr<float>());
    read_(b, 0, b.numel(), b_.data_ptr<float>());
    held_ = info.name;
  }
  const int64_t rank = a.shape[0], columns = a.shape[1];
  for (int64_t row = begin / columns; row * columns < end; row += kRows) {
    const int64_t rows = std::min(kRows, b.shape[0] - row);
    const torch::Tensor update = torch::empty({rows, columns}, torch::kFloat32);
    kernels::cpu().gemm(b_.data_ptr<float>() + row * rank, a_.data_ptr<float>(), nullptr, update.data_ptr<float>(),
                        rows, columns, rank, false);
    const float* from = update.data_ptr<float>();
    const int64_t first = std::max(begin, row * columns), last = std::min(end, (row + rows) * columns);
    for (int64_t i = first; i < last; ++i) {
      values[i - begin] += static_cast<float>(scale_ * static_cast<double>(from[i - row * columns]));
    }
  }
}

ReadParameter read_from(const checkpoints::StateDict& state) {
  return [&state](const ParamInfo& info, int64_t begin, int64_t end, float* out) {
    const torch::Tensor values = state.range(info.name, begin, end).to(torch::kCPU, torch::kFloat32).contiguous();
    std::copy_n(values.data_ptr<float>(), end - begin, out);
  };
}

std::unique_ptr<ModelFiles> merged(std::unique_ptr<ModelFiles> model, const fs::path& adapter) {
  return std::make_unique<MergedModel>(std::move(model), adapter);
}

}  // namespace terse::trainer
