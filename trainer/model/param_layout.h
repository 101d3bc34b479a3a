// The place of each weight of a model in one flat buffer.
//
// The buffer is divided into units: the embedding, each block, and the tensors after the blocks. The weights of a unit
// are needed at the same time, and its gradients are complete at the same time. So ranks shard and exchange whole
// units. A unit begins with the tensors that decay (matrices) and ends with those that do not (embedding, norms,
// biases). Tensors that are used as one matrix (q, k, v; gate, up) are adjacent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/model/spec.h"

namespace terse::trainer {

struct ParamInfo {
  std::string name;  // Hugging Face's name
  std::vector<int64_t> shape;
  int64_t offset = 0;   // elements from the start of the flat buffer
  double init_std = 0;  // 0: constant `init_value`
  double init_value = 0;

  int64_t numel() const;
};

// Elements [begin, end) of the flat buffer, of which [begin, decayed_end) decay.
struct ParamUnit {
  std::string name;
  int64_t begin = 0, decayed_end = 0, end = 0;
  int64_t size() const { return end - begin; }
};

struct ParamLayout {
  explicit ParamLayout(const ModelSpec& spec);

  std::vector<ParamInfo> infos;  // in order of offset
  std::vector<ParamUnit> units;  // embedding, block 0, .., block L - 1, final
  int64_t size = 0;              // P, elements

  int64_t offset_of(const std::string& name) const;
};

}  // namespace terse::trainer
