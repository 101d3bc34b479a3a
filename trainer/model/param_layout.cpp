// Lists the tensors of the transformer, unit by unit, and assigns their offsets.
#include "trainer/model/param_layout.h"

#include <stdexcept>

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

}  // namespace

int64_t ParamInfo::numel() const {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  return n;
}

ParamLayout::ParamLayout(const ModelSpec& spec) {
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
  embedding.plain.push_back({"model.embed_tokens.weight", {spec.vocab, spec.hidden_size}, 0, spec.init_std, 0});
  if (!spec.tie_embeddings) last.matrix("lm_head.weight", spec.vocab, spec.hidden_size, spec.init_std);
  last.vector("model.norm.weight", spec.hidden_size, 1);
  add("embedding", std::move(embedding));
  for (int64_t layer = 0; layer < spec.layers; ++layer)
    add("block " + std::to_string(layer), block_tensors(spec, layer));
  add("final", std::move(last));
}

int64_t ParamLayout::offset_of(const std::string& name) const {
  for (const ParamInfo& info : infos) {
    if (info.name == name) return info.offset;
  }
  throw std::logic_error("the model has no tensor " + name);
}

}  // namespace terse::trainer
