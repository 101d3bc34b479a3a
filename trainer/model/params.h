// All weights of a model in one flat buffer with named views, and the flat gradient beside it.
//
// The flat buffer starts with the tensors that weight decay applies to (matrices) and ends with those it does not
// (embedding, norms, biases), so an optimizer needs two calls. Tensors that are used as one matrix (q, k, v; gate, up)
// lie side by side.
#pragma once

#include <torch/types.h>

#include <map>
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

  // fp32 master weights [P]. After changing them call publish() to refresh the working copy.
  torch::Tensor& master() { return master_; }
  const torch::Tensor& master() const { return master_; }
  // The weights in the model's dtype [P], which the model reads; in fp32 they are the master weights.
  torch::Tensor& working() { return working_; }
  // fp32 gradient [P] of the update so far. On the CPU the operations of ops.h add to it directly, also for bf16
  // weights.
  torch::Tensor& grad() { return grad_; }
  int64_t decayed() const { return decayed_; }  // the first so many elements decay
  int64_t size() const { return master_.numel(); }
  const std::vector<ParamInfo>& infos() const { return infos_; }
  torch::Tensor named_master(const ParamInfo& info) const;

  void publish();  // working copy := master (a no-op in fp32, where they are one)
  void zero_grad();
  void collect_grad();  // adds the working gradient of one backward pass to grad() (a no-op in fp32)

  const torch::Tensor& embedding() const { return embedding_; }    // [V, D]
  const torch::Tensor& head() const { return head_; }              // [V, D]; the embedding when tied
  const torch::Tensor& final_norm() const { return final_norm_; }  // [D]
  const std::vector<BlockWeights>& blocks() const { return blocks_; }

 private:
  void lay_out(const ModelSpec& spec);
  void initialise(uint64_t seed);
  void make_views(const ModelSpec& spec);
  torch::Tensor leaf(const std::string& first, std::vector<int64_t> shape);

  std::vector<ParamInfo> infos_;
  std::map<std::string, int64_t> offset_;
  int64_t decayed_ = 0;
  torch::Tensor master_, grad_;  // fp32
  torch::Tensor working_;        // the same tensor as master_ in fp32
  torch::Tensor working_grad_;   // what one backward pass writes; grad_ itself in fp32 and on the CPU
  torch::Tensor embedding_, head_, final_norm_;
  std::vector<BlockWeights> blocks_;
};

}  // namespace terse::trainer
