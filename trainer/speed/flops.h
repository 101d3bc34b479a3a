// The floating-point operations of a model, which its speed is measured by. By convention, the products of matrices and
// attention count, and nothing that a model computes twice (PaLM, arXiv 2204.02311, appendix B).
#pragma once

#include <optional>

#include "trainer/model/spec.h"

namespace terse::trainer {

// What passes through a model, added up over batches.
struct TokenWork {
  double tokens = 0;
  double head_rows = 0;        // tokens whose logits are computed; in training, those that carry a loss
  double squared_lengths = 0;  // squares of the lengths of all segments, which the operations of attention grow with

  TokenWork& operator+=(const TokenWork& other) {
    tokens += other.tokens;
    head_rows += other.head_rows;
    squared_lengths += other.squared_lengths;
    return *this;
  }
};

// A token of a sequence of this length, with logits.
inline TokenWork one_token(double sequence_length) {
  return {1, 1, sequence_length};
}

// Forward pass: 2 for each weight that multiplies a token, and 2 H C T a layer for causal attention over T tokens.
double forward_flops(const ModelSpec& spec, const TokenWork& work);
// Forward and backward pass: three times as many. A frozen weight has no gradient, so it takes 4 instead of 6.
double training_flops(const ModelSpec& spec, const TokenWork& work);

// MFU, model FLOPs utilisation: the share of `peak`, in floating-point operations per second, that an update reached.
// Operations that activation recomputation repeats do not count. Nothing when no token went through the head.
std::optional<double> mfu(const ModelSpec& spec, const TokenWork& work, double seconds, double peak);

}  // namespace terse::trainer
