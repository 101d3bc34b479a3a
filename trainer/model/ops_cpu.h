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

// The kernels' view of a `segments` tensor (ops.h) of so many rows; the tensor must outlive it.
inline kernels::Segments segments_of(const torch::Tensor& segments, int64_t rows) {
  if (!segments.defined()) throw std::logic_error("a backward pass on the CPU needs the segments of its rows");
  const kernels::Segments result{segments.data_ptr<int32_t>(), segments.size(0) - 1};
  if (result.rows() != rows) {
    throw std::logic_error(fmt::format("segments of {} rows for a gradient of {} rows", result.rows(), rows));
  }
  return result;
}

}  // namespace terse::trainer::ops
