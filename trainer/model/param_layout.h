// The place of each weight of a model in one flat buffer.
//
// The buffer is divided into units: the embedding, each block, and the tensors after the blocks. The weights of a unit
// are needed at the same time, and its gradients are complete at the same time. So ranks shard and exchange whole
// units. A unit begins with the tensors that decay (matrices) and ends with those that do not (embedding, norms,
// biases). Tensors that are used as one matrix (q, k, v; gate, up) are adjacent.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "checkpoints/state_dict.h"
#include "trainer/model/spec.h"

namespace terse::trainer {

struct ParamInfo {
  std::string name;  // Hugging Face's name
  std::vector<int64_t> shape;
  int64_t offset = 0;   // elements from the start of the flat buffer
  double init_std = 0;  // 0: constant `init_value`
  double init_value = 0;
  double init_bound = 0;  // above 0: uniform in [-init_bound, init_bound) instead

  int64_t numel() const;
};

// The value with which an element of a parameter begins. Random numbers are keyed by the place of the parameter in its
// layout, and by the element.
float initial_value(const ParamInfo& info, uint64_t seed, uint64_t param, int64_t element);

// A source of weights: writes elements [begin, end) of the flattened parameter, in fp32.
using ReadParameter = std::function<void(const ParamInfo& info, int64_t begin, int64_t end, float* out)>;

// Elements [begin, end) of the flat buffer, of which [begin, decayed_end) decay.
struct ParamUnit {
  std::string name;
  int64_t begin = 0, decayed_end = 0, end = 0;
  int64_t size() const { return end - begin; }
};

// kModel: the weights of the model itself. kAdapters: those of LoRA; the first and the last unit are empty then.
enum class WeightSet { kModel, kAdapters };

struct ParamLayout {
  explicit ParamLayout(const ModelSpec& spec, WeightSet set = WeightSet::kModel);

  std::vector<ParamInfo> infos;  // in order of offset
  std::vector<ParamUnit> units;  // embedding, block 0, .., block L - 1, final
  int64_t size = 0;              // P, elements

  int64_t offset_of(const std::string& name) const;
};

// Throws std::invalid_argument, which names the tensor, unless the state has every tensor of the layout, as
// "<prefix><name>" and with its shape.
void require_tensors(const checkpoints::StateDict& state, const std::string& prefix, const ParamLayout& layout);

// The layout of what is trained: the adapters of a model that has some, else all weights.
ParamLayout trained_layout(const ModelSpec& spec);

}  // namespace terse::trainer
