// The one model definition: a decoder-only transformer (RMSNorm, RoPE, grouped-query attention, SwiGLU) that covers the
// shapes of Llama, Qwen2 (qkv_bias) and Qwen3 (qk_norm), tied or untied.
#pragma once

#include "checkpoints/state_dict.h"
#include "data/batch.h"
#include "trainer/model/block.h"
#include "trainer/model/dropout.h"
#include "trainer/model/ops/ops.h"
#include "trainer/model/params.h"

namespace terse::trainer {

// How a forward pass uses the adapters of LoRA. A model without adapters ignores it.
struct ForwardMode {
  // false: the model as it was before its adapters were trained. This is the reference policy of RL, without a copy.
  bool adapters = true;
  std::optional<DropoutKey> dropout = {};  // nullopt: no dropout, as everywhere outside supervised updates
};

class Transformer {
 public:
  Transformer(const ModelSpec& spec, torch::Device device, uint64_t seed, const Sharding& sharding = {},
              Purpose purpose = Purpose::kTraining, std::shared_ptr<FrozenWeights> frozen = nullptr);

  const ModelSpec& spec() const { return spec_; }
  torch::Device device() const { return device_; }
  FlatParams& params() { return params_; }
  const FlatParams& params() const { return params_; }
  const torch::Tensor& rope() const { return rope_; }

  // Save and restore the master weights under Hugging Face's names. restore() throws std::invalid_argument, which names
  // the tensor, when a tensor is missing or has another shape.
  void save(checkpoints::StateDict& state) const;
  void restore(const checkpoints::StateDict& state);
  // Fills the weights of the model from another source; see FlatParams::fill(). Leaves adapters as they are.
  void fill(const ReadParameter& read);
  // The same for the adapters.
  void fill_adapters(const ReadParameter& read);

  // Throws std::invalid_argument unless first..last are positions inside the longest sequence. The kernels do not check
  // positions when they read the table of angles, so their callers call this once per batch.
  void require_angles(int64_t first, int64_t last) const;

  // Hidden states of every token after the final norm [N, D], and the sum of the blocks' auxiliary losses. `batch` must
  // be on device(). Throws std::invalid_argument when a position lies beyond the longest sequence. When weights are
  // gathered on demand (ZeRO-3), this call is collective; a rank that has no batch calls dummy_forward() instead.
  HiddenStates hidden(const data::Batch& batch, const ForwardMode& mode = {});
  void dummy_forward();
  // Log-probability and entropy of the batch's targets at the given rows [M]. Only these rows pass through the head.
  struct LogProbs : ops::TokenLogProbs {
    torch::Tensor auxiliary_loss;  // as in HiddenStates
  };
  LogProbs logprobs(const data::Batch& batch, const torch::Tensor& rows, const LogitTransform& transform = {},
                    const ForwardMode& mode = {});

 private:
  ModelSpec spec_;
  torch::Device device_;
  FlatParams params_;
  torch::Tensor rope_;
  bool recomputes_;  // activation recomputation: blocks run again in the backward pass
};

// Adds `scale` times the auxiliary loss of a forward pass to a loss; without one, returns the loss itself.
torch::Tensor with_auxiliary(const torch::Tensor& loss, const torch::Tensor& auxiliary_loss, double scale);

}  // namespace terse::trainer
