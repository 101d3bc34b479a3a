// Computes the bytes of the tensors that one forward and backward pass keeps. It counts what the operations of
// trainer/model save for backward: on the CPU those of ops.cpp and token_logprobs.cpp, on a GPU those of ops_fused.cpp
// and ops_aten.cpp.
//
// Letters as in ops.h. What a block saves per token, in elements:
//   input of the first norm D, its output D (input of qkv), turned q|k|v Q = (H + 2K) C, attention's output A = H C,
//   sum with the residual D, its norm D (input of gate|up), gate|up 2F, their product F (input of down); and in fp32
//   everywhere, log-sum-exp of attention H and a reciprocal root mean square for each of 2 norms. QK-norm keeps q|k|v a
//   second time and a root for each head. Each adapter of LoRA keeps rank more.
// With bf16 weights on the CPU, activations stay fp32, but the inputs of matrix products are kept as bf16 copies
// instead.
#pragma once

#include "launch/plan/model_size.h"

namespace terse::launch::plan {

// A pass over N tokens; M of them have a loss.
struct Pass {
  int64_t tokens = 0;
  int64_t loss_rows = 0;
};

// The two moments at which a pass may need most memory beside the saved tensors: in the output head, and in the
// backward pass of the last block.
enum class Moment { kHead, kBlock };

double block_bytes_per_token(const ModelSpec& spec, bool cuda);

// The saved tensors of all blocks, the final norm and the head. With activation checkpointing, only the inputs of the
// blocks are kept.
double activation_bytes(const ModelSpec& spec, bool cuda, Pass pass);

// The temporary memory beside them. In the head on the CPU: the transposed weights, a chunk of logits and a hidden
// state, and with more than one chunk, partial sums of the head's gradient. In the head on a GPU: all logits, several
// times. In a block: the backward pass of its feed-forward. With activation checkpointing this comes on top of the
// whole block, which has been recomputed.
double workspace_bytes(const ModelSpec& spec, bool cuda, Pass pass, Moment moment);

// A forward pass that keeps nothing for a backward pass needs at most the widest tensors of one block: the residual
// with its norm and sum, gate|up and their product.
double forward_bytes(const ModelSpec& spec, bool cuda, Pass pass);

}  // namespace terse::launch::plan
