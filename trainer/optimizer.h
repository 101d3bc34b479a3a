// AdamW on the parameters that this rank owns (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019),
// with global-norm clipping and a guard against non-finite updates.
#pragma once

#include <string>
#include <vector>

#include "checkpoints/state_dict.h"
#include "configs/run_config.h"
#include "trainer/kernels/cuda/kernels.h"
#include "trainer/model/params.h"

namespace terse::trainer {

// Learning rate of update `step` (0-based) of `steps`: linear warm-up, then constant, linear or cosine decay to
// min_lr_ratio * lr, or wsd (constant, then a linear fall over the last decay_fraction of the steps).
double learning_rate(const configs::Optimizer& config, int64_t step, int64_t steps);

class AdamW {
 public:
  AdamW(FlatParams& params, const configs::Optimizer& config);
  // Uses the given CUDA kernels. They clip and update in one pass over the weights. In a single process with bf16
  // weights the same pass writes the working copy. Null: the CPU kernels, or LibTorch's fused update on a GPU.
  AdamW(FlatParams& params, const configs::Optimizer& config, const kernels::cuda::Table* kernels);

  struct Update {
    double grad_norm = 0;  // global norm before clipping
    bool applied = true;   // false: the gradient was not finite and nothing changed
  };
  // Finishes and clips params.grad(), applies one update at rate `lr` and publishes the weights. Collective over all
  // ranks that learn.
  Update step(double lr);

  // Sets the moments and the number of updates to 0. Call it after the weights were replaced.
  void reset();

  // Save and restore the tensors "<prefix>.m/<parameter>" and "<prefix>.v/<parameter>" and the number of updates,
  // "<prefix>.updates".
  void save(checkpoints::StateDict& state, const std::string& prefix = "optimizer") const;
  void restore(const checkpoints::StateDict& state, const std::string& prefix = "optimizer");

 private:
  double grad_norm() const;
  // A range of the elements that this rank owns. Either all of them decay or none.
  struct Range {
    int64_t begin, count;
    double weight_decay;
  };
  std::vector<Range> ranges() const;
  void update_on_cpu(double clip, double lr);
  void update_by_kernel(double clip, double lr);
  void update_by_libtorch(double clip, double lr);

  FlatParams& params_;
  configs::Optimizer config_;
  const kernels::cuda::Table* kernels_;
  torch::Tensor m_, v_;  // fp32 moments of what this rank owns
  int64_t updates_ = 0;
};

}  // namespace terse::trainer
