// The one forward pass of the model: what a block computes. Training, prefill and decoding all run these functions,
// each with a backend of its own:
//   PackedBackend (transformer.cpp)         packed sequences, differentiable
//   KernelBackend (rl/engine/kernel_decoder.cpp)  a KV cache, fp32 on the CPU, the bits of PackedBackend
//   AtenBackend (rl/engine/aten_decoder.cpp)      a KV cache, LibTorch and CUDA kernels
//
// A backend has these functions, all on tokens [N, ...]; ops.h has their shapes:
//   const ModelSpec& spec()
//   Tensor norm(x, weight)                          RMSNorm
//   NormedSum add_norm(x, delta, weight)            x + delta, and its norm
//   Tensor linear(x, weight, bias)                  bias may be undefined
//   Tensor qk_norm(qkv, q_norm, k_norm)
//   Tensor attention(qkv)                           RoPE, then each token attends to its sequence up to itself
//   Tensor swiglu(gate_up)
//   Tensor add(x, delta)
#pragma once

#include "trainer/model/block_weights.h"
#include "trainer/model/ops/ops.h"

namespace terse::trainer {

template <class Backend>
torch::Tensor attention(Backend& backend, const BlockWeights& w, const torch::Tensor& x) {
  torch::Tensor qkv = backend.linear(x, w.qkv, w.qkv_bias);
  if (backend.spec().qk_norm) qkv = backend.qk_norm(qkv, w.q_norm, w.k_norm);
  return backend.linear(backend.attention(qkv), w.out, {});
}

template <class Backend>
torch::Tensor feed_forward(Backend& backend, const BlockWeights& w, const torch::Tensor& x) {
  return backend.linear(backend.swiglu(backend.linear(x, w.gate_up, {})), w.down, {});
}

// x [N, D] -> [N, D]
template <class Backend>
torch::Tensor block(Backend& backend, const BlockWeights& w, const torch::Tensor& x) {
  const torch::Tensor attended = attention(backend, w, backend.norm(x, w.attention_norm));
  const auto [h, normed] = backend.add_norm(x, attended, w.ffn_norm);
  return backend.add(h, feed_forward(backend, w, normed));
}

}  // namespace terse::trainer
