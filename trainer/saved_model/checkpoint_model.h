// The weights of a checkpoint as model files: any part of any weight, without the training state and without having all
// weights in memory. The adapters of LoRA are merged into the weights that they belong to.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "checkpoints/store.h"
#include "checkpoints/streaming/tensor_reader.h"
#include "trainer/saved_model/adapter_files.h"
#include "trainer/saved_model/model_files.h"

namespace terse::trainer {

// Not thread-safe.
class CheckpointModel final : public ModelFiles {
 public:
  // `loaded` has the shapes of the weights, and need not have their elements. Throws what saved_spec() throws.
  explicit CheckpointModel(checkpoints::Store::Loaded loaded);

  void read(const ParamInfo& info, int64_t begin, int64_t end, float* out) const override;
  GgmlType stored_type(const ParamInfo&) const override { return GgmlType::kF32; }

  const checkpoints::CheckpointInfo& info() const { return loaded_.info; }
  const std::map<std::string, std::string>& texts() const { return loaded_.state.files; }  // see saved_model.h
  bool has_training_state() const { return has_training_state_; }

 private:
  checkpoints::Store::Loaded loaded_;
  bool has_training_state_ = false;
  mutable checkpoints::TensorReader reader_;
  mutable std::optional<AdapterMerge> merge_;

  void read_stored(const ParamInfo& info, int64_t begin, int64_t end, float* out) const;
};

// Opens a checkpoint folder, or the newest sound checkpoint of a run folder, whose hashes it verifies. Returns null
// when `source` is neither, or a run folder without checkpoints. Throws DataError when it is damaged.
std::unique_ptr<CheckpointModel> open_checkpoint_model(const std::filesystem::path& source);

}  // namespace terse::trainer
