// Helpers of the autograd functions that run on the CPU kernels.
#pragma once

#include <fmt/format.h>
#include <torch/types.h>

#include <optional>
#include <stdexcept>

#include "trainer/kernels/kernels.h"

namespace terse::trainer::ops {

// Autograd functions reject undefined tensors but accept absent ones.
inline std::optional<torch::Tensor> if_defined(const torch::Tensor& t) {
  return t.defined() ? std::optional(t) : std::nullopt;
}

// The buffer to which a backward pass adds the gradient of a vector. Nobody reads that of a frozen one.
inline torch::Tensor vector_grad(const torch::Tensor& weight) {
  return weight.requires_grad() ? weight.grad() : torch::zeros_like(weight);
}

// Returns the kernels' view of a `sequences` tensor (ops.h) of `rows` rows. The tensor must outlive it. Throws
// std::logic_error when the tensor is undefined or has another number of rows.
inline kernels::Sequences sequences_of(const torch::Tensor& sequences, int64_t rows) {
  if (!sequences.defined()) throw std::logic_error("a backward pass on the CPU needs the sequences of its rows");
  const kernels::Sequences result{sequences.data_ptr<int32_t>(), sequences.size(0) - 1};
  if (result.rows() != rows) {
    throw std::logic_error(fmt::format("sequences of {} rows for a gradient of {} rows", result.rows(), rows));
  }
  return result;
}

}  // namespace terse::trainer::ops
