// Reads the checkpoint twice: once to verify all of its hashes, which decides which checkpoint of a run is used, and
// once for the weights.
#include "trainer/saved_model/checkpoint_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "trainer/saved_model/saved_model.h"

namespace terse::trainer {

namespace {

bool is_weight(const std::string& name) {
  return weights_only(name, {}).has_value();
}

// Shapes of the weights, without their elements.
std::optional<checkpoints::Range> shapes_only(const std::string& name, const std::vector<int64_t>&) {
  if (!is_weight(name)) return std::nullopt;
  return checkpoints::Range{};
}

}  // namespace

CheckpointModel::CheckpointModel(checkpoints::Store::Loaded loaded)
    : ModelFiles(loaded.path, saved_spec(loaded)),
      loaded_(std::move(loaded)),
      reader_(posix_file_system(), loaded_.path, is_weight) {
  has_training_state_ = loaded_.state.extra.contains("progress");
  for (const std::string& defect : loaded_.rejected) {
    notes_.push_back(fmt::format("damaged checkpoint {}; using {} instead", defect, loaded_.path.filename().string()));
  }
  if (!spec_.has_adapters()) return;
  merge_.emplace(spec_, [this](const ParamInfo& info, int64_t begin, int64_t end, float* out) {
    read_stored(info, begin, end, out);
  });
  spec_.lora = {};
  notes_.push_back("the adapters of LoRA are merged into the weights");
}

void CheckpointModel::read(const ParamInfo& info, int64_t begin, int64_t end, float* out) const {
  read_stored(info, begin, end, out);
  if (merge_) merge_->add(info, begin, end, out);
}

void CheckpointModel::read_stored(const ParamInfo& info, int64_t begin, int64_t end, float* out) const {
  const torch::Tensor values = reader_.read(info.name, begin, end).to(torch::kFloat32).contiguous();
  std::copy_n(values.const_data_ptr<float>(), end - begin, out);
}

std::unique_ptr<CheckpointModel> open_checkpoint_model(const std::filesystem::path& source) {
  auto loaded = load_target(source, shapes_only);
  if (!loaded) return nullptr;
  return std::make_unique<CheckpointModel>(std::move(*loaded));
}

}  // namespace terse::trainer
