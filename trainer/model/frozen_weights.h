// The weights of a model whose adapters alone are trained (LoRA). They have neither gradients nor masters nor state of
// an optimizer. Every rank holds all of them, in the dtype in which the model computes. Two models may share them, such
// as the policy and its student.
#pragma once

#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

#include "checkpoints/state_dict.h"
#include "trainer/model/block_weights.h"
#include "trainer/model/param_layout.h"
#include "trainer/model/sharding.h"

namespace terse::trainer {

class FrozenWeights {
 public:
  // Allocates the weights of the model without its adapters. They are 0 until they are set.
  FrozenWeights(const ModelSpec& spec, torch::Device device);

  const ParamLayout& layout() const { return layout_; }
  const torch::Tensor& embedding() const { return embedding_; }             // [V, D]
  const torch::Tensor& head() const { return head_; }                       // [V, D]; the embedding when tied
  const torch::Tensor& final_norm() const { return final_norm_; }           // [D]
  const BlockWeights& block(size_t layer) const { return blocks_[layer]; }  // without adapters
  // Grows by one whenever the weights are set. Copies of them in another layout are valid as long as it stays.
  int64_t version() const { return version_; }

  // Sets the weights to the random ones with which a model of its own would begin.
  void initialise(uint64_t seed);
  // Sets the weights, a piece of a parameter after the other.
  void fill(const ReadParameter& read);
  // Adds to a checkpoint the part that this rank writes. Every weight is divided over all ranks that learn.
  void save(checkpoints::StateDict& state, const Sharding& sharding) const;
  // Throws std::invalid_argument, which names the tensor, when one is missing or has another shape.
  void restore(const checkpoints::StateDict& state);
  // Replaces the weights by those of rank `root`. Collective over the group. Throws LostError when what arrived is not
  // what was sent.
  void broadcast(Collectives& group, int64_t root);

 private:
  // Allocates `shape`, in fp32 for vectors on the CPU, whose kernels need it. Names its rows.
  torch::Tensor allocate(const std::vector<int64_t>& shape, const std::vector<BlockWeight::Part>& parts,
                         const std::string& prefix);

  ModelSpec spec_;
  torch::Device device_;
  ParamLayout layout_;
  torch::Tensor embedding_, head_, final_norm_;
  std::vector<BlockWeights> blocks_;
  std::map<std::string, torch::Tensor> by_name_;  // views, with the shapes of the layout
  int64_t version_ = 0;
};

}  // namespace terse::trainer
