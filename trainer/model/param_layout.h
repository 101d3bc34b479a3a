// Where each weight of a model lies in one flat buffer.
//
// The buffer goes by units: the embedding, each block, and what comes after the blocks. A unit's gradient is complete
// at once and its weights are needed at once, so units are what ranks shard and exchange. A unit starts with the
// tensors that weight decay applies to (matrices) and ends with those it does not (embedding, norms, biases). Tensors
// that are used as one matrix (q, k, v; gate, up) lie side by side.
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
