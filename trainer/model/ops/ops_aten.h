// The operations of ops.h, made of LibTorch's own differentiable functions. They run where we have no kernels, and
// tests use them as the reference.
#pragma once

#include <array>

#include "trainer/model/ops/ops.h"

namespace terse::trainer::ops::aten {

torch::Tensor embed(const torch::Tensor& tokens, const torch::Tensor& weight);
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps);
torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias);
torch::Tensor qk_norm(const torch::Tensor& qkv, const torch::Tensor& q_norm, const torch::Tensor& k_norm,
                      const ModelSpec& spec);
torch::Tensor attention(const torch::Tensor& qkv, const torch::Tensor& positions, const Segments& segments,
                        const torch::Tensor& rope, const ModelSpec& spec);
torch::Tensor swiglu(const torch::Tensor& gate_up);
TokenLogProbs token_logprobs(const torch::Tensor& x, const torch::Tensor& head, const torch::Tensor& targets,
                             const LogitTransform& transform);

// The two halves of attention. split_rope: qkv [N, (H + 2K) C] -> rotated queries [N, H, C], rotated keys [N, K, C] and
// values [N, K, C]. attend: causal attention among them -> [N, H C], with keys and values rounded as those of the
// cache.
std::array<torch::Tensor, 3> split_rope(const torch::Tensor& qkv, const torch::Tensor& positions,
                                        const torch::Tensor& rope, const ModelSpec& spec);
torch::Tensor attend(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v, const Segments& segments,
                     const ModelSpec& spec);

// Rotates x [N, heads, C] by its positions [N] (half-split layout); fp32 inside.
torch::Tensor rotate(const torch::Tensor& x, const torch::Tensor& positions, const torch::Tensor& rope);
// [N, N] boolean: true where query row i may attend to key row j (the same segment and j <= i, or the prefix of i).
torch::Tensor segment_mask(const Segments& segments, int64_t tokens);

// The keys of segments that have copies of their prefixes.
struct JoinedKeys {
  torch::Tensor rows;    // [K] int64, the rows of the keys: for each segment those of its prefix, then its own
  torch::Tensor starts;  // [S + 1] int32, where the keys of each segment start in `rows`
};
JoinedKeys join_keys(const Segments& segments);

}  // namespace terse::trainer::ops::aten
