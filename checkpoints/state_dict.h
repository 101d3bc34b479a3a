// The logical state of a run: named tensors (or shards of them), a JSON document for everything that is not a tensor,
// and small text files that explain the state to its readers.
#pragma once

#include <torch/types.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace terse::checkpoints {

// A tensor, or the part [begin, end) of its flattened elements that this process holds.
struct Shard {
  torch::Tensor data;          // (end - begin) elements in row-major order, any shape, stride or device
  std::vector<int64_t> shape;  // of the whole tensor
  int64_t begin = 0;
  int64_t end = 0;
};

struct StateDict {
  std::map<std::string, Shard> tensors;
  nlohmann::json extra;  // data cursor, random state, controllers, counters
  // Texts by file name. They lie beside extra.json in the checkpoint folder, so that other programs can read them, too.
  // format/manifest.h states the names and sizes that are possible.
  std::map<std::string, std::string> files;

  // Shares memory with `whole`, without its autograd history. Throws std::invalid_argument when the name is taken.
  void add(const std::string& name, const torch::Tensor& whole);
  // Returns the tensor in its shape, sharing memory. Throws DataError naming the tensor when it is absent or partial.
  torch::Tensor whole(const std::string& name) const;
  // Returns elements [begin, end) of the flattened tensor as a flat tensor. It shares memory where `data` is
  // contiguous. Throws DataError naming the tensor and what is missing.
  torch::Tensor range(const std::string& name, int64_t begin, int64_t end) const;
};

}  // namespace terse::checkpoints
