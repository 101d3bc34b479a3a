// What the autograd functions on the CPU kernels share.
#pragma once

#include <torch/types.h>

#include <optional>
#include <stdexcept>

#include "trainer/kernels/kernels.h"

namespace terse::trainer::ops {

// Autograd functions refuse undefined tensors but take absent ones.
inline std::optional<torch::Tensor> if_defined(const torch::Tensor& t) {
  return t.defined() ? std::optional(t) : std::nullopt;
}

// The kernels' view of a `sequences` tensor (ops.h) of so many rows; the tensor must outlive it.
inline kernels::Sequences sequences_of(const torch::Tensor& sequences, int64_t rows) {
  if (!sequences.defined()) throw std::logic_error("a backward pass on the CPU needs the sequences of its rows");
  const kernels::Sequences result{sequences.data_ptr<int32_t>(), sequences.size(0) - 1};
  if (result.rows() != rows) {
    throw std::logic_error(fmt::format("sequences of {} rows for a gradient of {} rows", result.rows(), rows));
  }
  return result;
}

}  // namespace terse::trainer::ops
