// All weights of a model in one flat buffer with named views, and the flat gradient beside it.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "trainer/model/param_layout.h"

namespace terse::trainer {

// Weights of one block as leaf views that require gradients.
struct BlockWeights {
  torch::Tensor attention_norm;  // [D]
  torch::Tensor qkv;             // [(H + 2K) C, D]
  torch::Tensor qkv_bias;        // [(H + 2K) C] or undefined
  torch::Tensor q_norm, k_norm;  // [C] or undefined
  torch::Tensor out;             // [D, H C]
  torch::Tensor ffn_norm;        // [D]
  torch::Tensor gate_up;         // [2F, D], gate rows first
  torch::Tensor down;            // [D, F]
};

class FlatParams {
 public:
  // Initialises from `seed` by counter-based normal numbers keyed by (parameter, element): the same on every device.
  FlatParams(const ModelSpec& spec, torch::Device device, uint64_t seed);

  const ParamLayout& layout() const { return layout_; }
  int64_t size() const { return layout_.size; }

  // fp32 master weights [P]. After changing them call publish() to refresh the working copy.
  torch::Tensor& master() { return master_; }
  const torch::Tensor& master() const { return master_; }
  // The weights in the model's dtype [P], which the model reads; in fp32 they are the master weights.
  torch::Tensor& working() { return working_; }
  // fp32 gradient [P] of the update so far, complete after finish_grad(). On the CPU the operations of ops.h add to it
  // directly, also for bf16 weights.
  torch::Tensor& grad() { return grad_; }
  // The gradient as it is summed up: grad(), and behind it that of a tied head, whose rows are summed by themselves so
  // that the sum does not depend on where a batch is split.
  torch::Tensor& partial_grad() { return partial_grad_; }
  // Whether gradients are sums in the order of kernels::Segments: fp32 on the CPU.
  bool sums_as_tree() const { return working_.is_same(master_) && master_.device().is_cpu(); }
  torch::Tensor named_master(const ParamInfo& info) const;

  void publish();  // working copy := master (a no-op in fp32, where they are one)
  void zero_grad();
  void collect_grad();  // adds the working gradient of one backward pass to partial_grad() (a no-op in fp32)
  void finish_grad();   // the update's last backward pass is done: adds what lies behind grad() to it

  const torch::Tensor& embedding() const { return embedding_; }    // [V, D]
  const torch::Tensor& head() const { return head_; }              // [V, D]; the embedding's memory when tied
  const torch::Tensor& final_norm() const { return final_norm_; }  // [D]
  const std::vector<BlockWeights>& blocks() const { return blocks_; }

 private:
  void initialise(uint64_t seed);
  void make_views(const ModelSpec& spec);
  torch::Tensor leaf(const std::string& first, std::vector<int64_t> shape);
  torch::Tensor leaf_at(int64_t offset, int64_t grad_offset, std::vector<int64_t> shape);

  ParamLayout layout_;
  torch::Tensor master_;        // fp32
  torch::Tensor partial_grad_;  // fp32 [P], or [P + V D] with the tied head
  torch::Tensor grad_;          // its first P
  torch::Tensor working_;       // the same tensor as master_ in fp32
  torch::Tensor working_grad_;  // what one backward pass writes; partial_grad_ itself in fp32 and on the CPU
  torch::Tensor embedding_, head_, final_norm_;
  std::vector<BlockWeights> blocks_;
};

}  // namespace terse::trainer
