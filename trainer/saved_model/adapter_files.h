// Adapters of LoRA in a folder of PEFT: adapter_config.json and adapter_model.safetensors. Also merges adapters into
// the weights that they belong to.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/formats/safetensors/file.h"
#include "checkpoints/state_dict.h"
#include "trainer/model/block_weights.h"
#include "trainer/saved_model/model_files.h"

namespace terse::trainer {

inline constexpr char kAdapterWeights[] = "adapter_model.safetensors";

class AdapterFiles {
 public:
  // Opens the folder and compares the shapes of all tensors with the adapters of a model of this shape; `model.lora` is
  // not read. Throws DiskError, and DataError that names the file, and the key or the tensor with what was found and
  // expected.
  AdapterFiles(std::filesystem::path folder, const ModelSpec& model);

  const std::filesystem::path& path() const { return folder_; }
  const ModelSpec& spec() const { return spec_; }  // the model's, with the options that the folder tells
  // `info` is one of ParamLayout(spec(), WeightSet::kAdapters).
  void read(const ParamInfo& info, int64_t begin, int64_t end, float* out) const;

 private:
  std::filesystem::path folder_;
  ModelSpec spec_;
  SafetensorsFile tensors_;
};

// Whether the path looks like an adapter of PEFT: a folder with both files.
bool is_adapter(const std::filesystem::path& path);

// Writes the adapters of `state`, which holds all of each, as a folder of PEFT. `base_model` is for
// adapter_config.json. Throws ConfigError when the folder already holds an adapter, DataError when a tensor is missing,
// and DiskError.
void write_adapter(const std::filesystem::path& folder, const ModelSpec& spec, const checkpoints::StateDict& state,
                   const std::string& base_model);

// Merges adapters into the weights of their model: W + alpha / rank B A. The sum is computed in fp32, and every element
// has the same bits, however the weight is read.
class AdapterMerge {
 public:
  // `spec` has the options of LoRA. `read` reads the adapters, each as a whole.
  AdapterMerge(const ModelSpec& spec, ReadParameter read);
  // Adds the adapter of this parameter of the model, if it has one, to its elements [begin, end). Keeps the adapter
  // that it read last, so one thread at a time may call it.
  void add(const ParamInfo& info, int64_t begin, int64_t end, float* values);

 private:
  struct Pair {
    ParamInfo a, b;
  };
  double scale_;
  ReadParameter read_;
  std::map<std::string, Pair> pairs_;  // by the name of the model's parameter
  std::string held_;                   // the parameter of a_ and b_
  torch::Tensor a_, b_;
};

// Returns the parameters that a state holds, of which it must have the elements that are read.
ReadParameter read_from(const checkpoints::StateDict& state);

// The model with the adapters of this folder merged into its weights.
std::unique_ptr<ModelFiles> merged(std::unique_ptr<ModelFiles> model, const std::filesystem::path& adapter);

}  // namespace terse::trainer
