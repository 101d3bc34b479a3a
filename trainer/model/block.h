// The one forward pass of the model: how tokens enter it, and what a block computes. Training, prefill and decoding all
// run these functions, each with a backend of its own:
//   PackedBackend (transformer.cpp)         packed sequences, differentiable
//   KernelBackend (rl/engine/kernel_decoder.cpp)  a KV cache, fp32 on the CPU, the bits of PackedBackend
//   AtenBackend (rl/engine/aten_decoder.cpp)      a KV cache, LibTorch and CUDA kernels
//
// A backend has these functions, all on tokens [N, ...]; ops.h has their shapes:
//   const ModelSpec& spec()
//   Tensor embedding(table)                         the rows of table [V, D] that the tokens name
//   Tensor norm(x, weight)                          RMSNorm
//   NormedSum add_norm(x, delta, weight)            x + delta, and its norm
//   Tensor linear(x, weight, bias)                  bias may be undefined
//   Tensor dropout(x, projection)                   the input of an adapter; `projection` is Adapter::number
//   Tensor qk_norm(qkv, q_norm, k_norm)
//   Tensor attention(qkv)                           RoPE, then each token attends to its sequence up to itself
//   Tensor swiglu(gate_up)
//   Tensor add(x, delta)
#pragma once

#include "trainer/model/block_weights.h"
#include "trainer/model/ops/ops.h"

namespace terse::trainer {

// x W^T + bias, and what the adapters of W add: alpha / rank (dropout(x) A^T) B^T for each part of W that has one
// (LoRA). The scale multiplies the short rows x A^T, so that every operation rounds each element alone.
template <class Backend>
torch::Tensor project(Backend& backend, const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                      const std::vector<Adapter>& adapters) {
  const torch::Tensor y = backend.linear(x, weight, bias);
  std::vector<torch::Tensor> updates;
  for (const Adapter& adapter : adapters) {
    if (!adapter.a.defined()) {
      updates.push_back(torch::zeros({y.size(0), adapter.rows}, y.options()));
      continue;
    }
    const torch::Tensor low = backend.linear(backend.dropout(x, adapter.number), adapter.a, {});
    updates.push_back(backend.linear(low * backend.spec().adapter_scale(), adapter.b, {}));
  }
  if (updates.empty()) return y;
  return backend.add(y, updates.size() == 1 ? updates.front() : torch::cat(updates, 1));
}

template <class Backend>
torch::Tensor attention(Backend& backend, const BlockWeights& w, const torch::Tensor& x) {
  torch::Tensor qkv = project(backend, x, w.qkv, w.qkv_bias, w.qkv_adapters);
  if (backend.spec().qk_norm) qkv = backend.qk_norm(qkv, w.q_norm, w.k_norm);
  return project(backend, backend.attention(qkv), w.out, {}, w.out_adapters);
}

// The result of a part of the model.
struct HiddenStates {
  torch::Tensor x;  // [N, D]
  // A scalar that training adds to its loss, summed over the tokens, such as the load balancing loss of a mixture of
  // experts. Undefined: none.
  torch::Tensor auxiliary_loss = {};
};

// The embeddings of the tokens [N, D]. All token embeddings come from here, so other embeddings (of pictures, of sound)
// could take places of the sequence here, too.
template <class Backend>
torch::Tensor embed(Backend& backend, const torch::Tensor& table) {
  return backend.embedding(table);
}

template <class Backend>
HiddenStates feed_forward(Backend& backend, const BlockWeights& w, const torch::Tensor& x) {
  const torch::Tensor inner = backend.swiglu(project(backend, x, w.gate_up, {}, w.gate_up_adapters));
  return {project(backend, inner, w.down, {}, w.down_adapters)};
}

// x [N, D] -> [N, D]
template <class Backend>
HiddenStates block(Backend& backend, const BlockWeights& w, const torch::Tensor& x) {
  const torch::Tensor attended = attention(backend, w, backend.norm(x, w.attention_norm));
  const auto [h, normed] = backend.add_norm(x, attended, w.ffn_norm);
  const HiddenStates fed = feed_forward(backend, w, normed);
  return {backend.add(h, fed.x), fed.auxiliary_loss};
}

}  // namespace terse::trainer
