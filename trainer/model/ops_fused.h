// The operations of a transformer that take LibTorch several passes over memory, in one: our CUDA kernels where they
// were compiled in and the tensors are on a GPU, LibTorch's operations (ops_aten.h) otherwise. For every device and
// dtype that the fp32 kernels of the CPU do not serve: by the model on a GPU, and by the decoder of GPUs and bf16.
//
// The kernels want activations and weights of one dtype, fp32 or bf16. As on the CPU, gradients of weights are added
// straight to weight.grad(), which must exist when a gradient is taken.
#pragma once

#include <array>

#include "trainer/kernels/cuda/kernels.h"
#include "trainer/model/ops.h"

namespace terse::trainer::ops {

// The stream on which LibTorch runs its operations on `device` at this moment; null for the CPU.
kernels::cuda::Stream current_stream(torch::Device device);

class Fused {
 public:
  // The kernels for `device`, if there are any.
  explicit Fused(torch::Device device) : Fused(device.is_cuda() ? kernels::cuda::table() : nullptr) {}
  // These kernels, or LibTorch's operations when null.
  explicit Fused(const kernels::cuda::Table* table) : table_(table) {}

  // As in ops.h.
  torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps) const;
  NormedSum add_rms_norm(const torch::Tensor& x, const torch::Tensor& delta, const torch::Tensor& weight,
                         double eps) const;
  torch::Tensor qk_norm(const torch::Tensor& qkv, const torch::Tensor& q_norm, const torch::Tensor& k_norm,
                        const ModelSpec& spec) const;
  torch::Tensor swiglu(const torch::Tensor& gate_up) const;
  // qkv [N, (H + 2K) C] -> turned queries [N, H, C], turned keys [N, K, C] and values [N, K, C], each contiguous.
  std::array<torch::Tensor, 3> split_rope(const torch::Tensor& qkv, const torch::Tensor& positions,
                                          const torch::Tensor& rope, const ModelSpec& spec) const;

 private:
  const kernels::cuda::Table* table_;
};

}  // namespace terse::trainer::ops
