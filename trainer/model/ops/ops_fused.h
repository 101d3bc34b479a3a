// Fused operations: one pass over memory where LibTorch takes several. They run on our CUDA kernels when these were
// compiled in and the tensors are on a GPU, else on LibTorch's operations (ops_aten.h). The model uses them on a GPU.
// The decoder uses them on a GPU and for bf16.
//
// The kernels need activations and weights of the same dtype, fp32 or bf16. As on the CPU, the backward pass adds
// weight gradients directly to weight.grad(), which must exist by then.
#pragma once

#include <array>

#include "trainer/kernels/cuda/kernels.h"
#include "trainer/model/ops/ops.h"

namespace terse::trainer::ops {

// Returns LibTorch's current stream of `device`; null for the CPU.
kernels::cuda::Stream current_stream(torch::Device device);

class Fused {
 public:
  // Uses the kernels for `device`, if there are any.
  explicit Fused(torch::Device device) : Fused(device.is_cuda() ? kernels::cuda::table() : nullptr) {}
  // Uses the given kernels, or LibTorch's operations when null.
  explicit Fused(const kernels::cuda::Table* table) : table_(table) {}

  // As in ops.h.
  torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps) const;
  NormedSum add_rms_norm(const torch::Tensor& x, const torch::Tensor& delta, const torch::Tensor& weight,
                         double eps) const;
  torch::Tensor qk_norm(const torch::Tensor& qkv, const torch::Tensor& q_norm, const torch::Tensor& k_norm,
                        const ModelSpec& spec) const;
  torch::Tensor swiglu(const torch::Tensor& gate_up) const;
  // qkv [N, (H + 2K) C] -> rotated queries [N, H, C], rotated keys [N, K, C] and values [N, K, C], each contiguous.
  std::array<torch::Tensor, 3> split_rope(const torch::Tensor& qkv, const torch::Tensor& positions,
                                          const torch::Tensor& rope, const ModelSpec& spec) const;

 private:
  const kernels::cuda::Table* table_;
};

}  // namespace terse::trainer::ops
