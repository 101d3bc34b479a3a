// The same operations as ops.h, from LibTorch's own differentiable functions: the path of devices without kernels of
// ours, and the reference for tests.
#pragma once

#include "trainer/model/ops.h"

namespace terse::trainer::ops::aten {

torch::Tensor embed(const torch::Tensor& tokens, const torch::Tensor& weight);
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps);
torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias);
torch::Tensor qk_norm(const torch::Tensor& qkv, const torch::Tensor& q_norm, const torch::Tensor& k_norm,
                      const ModelSpec& spec);
torch::Tensor attention(const torch::Tensor& qkv, const torch::Tensor& positions, const torch::Tensor& segments,
                        const torch::Tensor& rope, const ModelSpec& spec);
torch::Tensor swiglu(const torch::Tensor& gate_up);
TokenLogProbs token_logprobs(const torch::Tensor& x, const torch::Tensor& head, const torch::Tensor& targets,
                             const LogitTransform& transform);

// Rotates x [N, heads, C] by its positions [N] (half-split layout); fp32 inside.
torch::Tensor rotate(const torch::Tensor& x, const torch::Tensor& positions, const torch::Tensor& rope);
// [N, N] boolean: true where query row i may attend to key row j (same segment, j <= i).
torch::Tensor segment_mask(const torch::Tensor& segments, int64_t tokens);

}  // namespace terse::trainer::ops::aten
