// Lists the tensors of the transformer, unit by unit, and assigns their offsets.
#include "trainer/model/param_layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <stdexcept>

#include "base/philox.h"
#include "trainer/model/block_weights.h"

namespace terse::trainer {

namespace {

// The tensors of a unit under construction. `decayed` precedes `plain` in the buffer.
struct UnitTensors {
  std::vector<ParamInfo> decayed, plain;
  void matrix(std::string name, int64_t out, int64_t in, double std) {
    decayed.push_back({std::move(name), {out, in}, 0, std, 0});
  }
  void vector(std::string name, int64_t n, double value) { plain.push_back({std::move(name), {n}, 0, 0, value}); }
};

UnitTensors block_tensors(const ModelSpec& spec, int64_t layer) {
  const std::string block = "model.layers." + std::to_string(layer) + ".";
  UnitTensors unit;
  for (const BlockWeight& weight : block_weights(spec)) {
    for (const BlockWeight::Part& part : weight.parts) {
      if (weight.is_matrix()) {
        unit.matrix(block + part.name, part.rows, weight.columns, weight.init_std);
      } else {
        unit.vector(block + part.name, part.rows, weight.init_value);
      }
    }
  }
  return unit;
}

// As PEFT begins: A is uniform as in PyTorch's linear layers (Kaiming with a = sqrt(5), so the bound is 1 / sqrt(in)),
// and B is 0.
UnitTensors adapter_tensors(const ModelSpec& spec, int64_t layer) {
  const int64_t rank = spec.lora.rank;
  UnitTensors unit;
  for (const BlockWeight& weight : block_weights(spec)) {
    for (const BlockWeight::Part& part : weight.parts) {
      if (!has_adapter(spec, part)) continue;
      const AdapterNames names = adapter_names(layer, part);
      unit.matrix(names.a, rank, weight.columns, 0);
      unit.decayed.back().init_bound = 1 / std::sqrt(static_cast<double>(weight.columns));
      unit.matrix(names.b, part.rows, rank, 0);
    }
  }
  return unit;
}

}  // namespace

int64_t ParamInfo::numel() const {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  return n;
}

float initial_value(const ParamInfo& info, uint64_t seed, uint64_t param, int64_t element) {
  if (info.init_bound > 0) {
    const auto words = philox(seed, RandomStream::kAdapterInit, param, static_cast<uint64_t>(element));
    return static_cast<float>(info.init_bound * (2.0 * uniform01(words[0]) - 1));
  }
  if (info.init_std == 0) return static_cast<float>(info.init_value);
  // One normal number from two uniform ones (Box and Muller).
  const auto words = philox(seed, RandomStream::kInit, param, static_cast<uint64_t>(element));
  const double radius = std::sqrt(-2 * std::log((words[0] + 1.0) * 0x1p-32));
  return static_cast<float>(info.init_std * radius * std::cos(2 * M_PI * words[1] * 0x1p-32));
}

ParamLayout::ParamLayout(const ModelSpec& spec, WeightSet set) {
  const bool model = set == WeightSet::kModel;
  const auto add = [this](const std::string& name, UnitTensors tensors) {
    ParamUnit unit{name, size, size, size};
    for (auto* part : {&tensors.decayed, &tensors.plain}) {
      for (ParamInfo& info : *part) {
        info.offset = size;
        size += info.numel();
        infos.push_back(std::move(info));
      }
      if (part == &tensors.decayed) unit.decayed_end = size;
    }
    unit.end = size;
    units.push_back(std::move(unit));
  };
  UnitTensors embedding, last;
  if (model) {
    embedding.plain.push_back({"model.embed_tokens.weight", {spec.vocab, spec.hidden_size}, 0, spec.init_std, 0});
    if (!spec.tie_embeddings) last.matrix("lm_head.weight", spec.vocab, spec.hidden_size, spec.init_std);
    last.vector("model.norm.weight", spec.hidden_size, 1);
  }
  add("embedding", std::move(embedding));
  for (int64_t layer = 0; layer < spec.layers; ++layer)
    add("block " + std::to_string(layer), model ? block_tensors(spec, layer) : adapter_tensors(spec, layer));
  add("final", std::move(last));
}

int64_t ParamLayout::offset_of(const std::string& name) const {
  for (const ParamInfo& info : infos) {
    if (info.name == name) return info.offset;
  }
  throw std::logic_error("the model has no tensor " + name);
}

void require_tensors(const checkpoints::StateDict& state, const std::string& prefix, const ParamLayout& layout) {
  for (const ParamInfo& info : layout.infos) {
    const auto saved = state.tensors.find(prefix + info.name);
    if (saved == state.tensors.end()) {
      throw std::invalid_argument(fmt::format(
          "the checkpoint has no tensor {}, but the model of this configuration needs it", prefix + info.name));
    }
    if (saved->second.shape == info.shape) continue;
    throw std::invalid_argument(
        fmt::format("the checkpoint's tensor {} has shape [{}], but the model of this configuration needs [{}]",
                    prefix + info.name, fmt::join(saved->second.shape, ", "), fmt::join(info.shape, ", ")));
  }
}

ParamLayout trained_layout(const ModelSpec& spec) {
  return ParamLayout(spec, spec.has_adapters() ? WeightSet::kAdapters : WeightSet::kModel);
}

}  // namespace terse::trainer
