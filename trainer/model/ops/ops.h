// The differentiable operations of a transformer. Each chooses its implementation by device and dtype:
//   CPU: our row-invariant kernels (trainer/kernels), which multiply fp32 and bf16 weights. The rest is fp32.
//   GPU: our CUDA kernels, if they were compiled in, for operations that take LibTorch several passes (ops_fused.cpp).
//   Everything else: LibTorch's own operations (ops_aten.cpp). Tests compare the kernels with them.
//
// On the CPU the backward pass adds weight gradients directly to weight.grad(). It sums them sequence by sequence
// and then as a tree (kernels::Sequences), so splitting a batch changes no bit of the sum. `sequences` is
// int32 [B + 1]: the first row of each sequence, then the number of rows. Only backward passes need it. Letters: N
// packed tokens, D hidden size, H query heads, K key/value heads, C head size, F feed-forward size, V vocabulary, M
// rows that carry a loss.
#pragma once

#include <torch/types.h>

#include "trainer/model/logit_transform.h"
#include "trainer/model/spec.h"

namespace terse::trainer::ops {

// Rotary angles of every position, [max_seq_len, C] fp32: C/2 cosines, then C/2 sines; computed in double.
torch::Tensor make_rope_table(const ModelSpec& spec, torch::Device device);

// tokens [N] int64, weight [V, D] -> [N, D]
torch::Tensor embed(const torch::Tensor& tokens, const torch::Tensor& weight, const torch::Tensor& sequences = {});
// x [N, D], weight [D] -> [N, D]
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps,
                       const torch::Tensor& sequences = {});
// sum = x + delta and its norm, both [N, D]: a residual connection and the norm after it.
struct NormedSum {
  torch::Tensor sum;
  torch::Tensor normed;
};
NormedSum add_rms_norm(const torch::Tensor& x, const torch::Tensor& delta, const torch::Tensor& weight, double eps,
                       const torch::Tensor& sequences = {});
// x [N, in], weight [out, in], bias [out] or undefined -> [N, out]
torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias = {},
                     const torch::Tensor& sequences = {});
// RMSNorm on each query and key head of qkv [N, (H + 2K) C], as Qwen3 does before RoPE.
torch::Tensor qk_norm(const torch::Tensor& qkv, const torch::Tensor& q_norm, const torch::Tensor& k_norm,
                      const ModelSpec& spec, const torch::Tensor& sequences = {});
// Which tokens attend to which: see data::Batch, whose fields these are.
struct Segments {
  torch::Tensor starts;         // [S + 1] int32
  torch::Tensor prefixes = {};  // [S] int32, or undefined
};
// RoPE on queries and keys, then causal attention inside each segment and to its prefix.
// qkv [N, (H + 2K) C] -> [N, H C]
torch::Tensor attention(const torch::Tensor& qkv, const torch::Tensor& positions, const Segments& segments,
                        const torch::Tensor& rope, const ModelSpec& spec);
// gate_up [N, 2F] -> silu(gate) * up [N, F]
torch::Tensor swiglu(const torch::Tensor& gate_up);

// Log-probability of each target and entropy of each distribution, both [M] fp32 in nats and differentiable. x [M, D],
// head [V, D], targets [M] int64. On the CPU only a chunk of the logits is in memory at a time; LibTorch's operations
// hold all [M, V].
struct TokenLogProbs {
  torch::Tensor logprob;
  torch::Tensor entropy;
};
TokenLogProbs token_logprobs(const torch::Tensor& x, const torch::Tensor& head, const torch::Tensor& targets,
                             const LogitTransform& transform, const torch::Tensor& sequences = {});

}  // namespace terse::trainer::ops
