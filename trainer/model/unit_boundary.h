// Marks the boundary between two units in the autograd graph of a forward pass.
#pragma once

#include "trainer/model/params.h"

namespace terse::trainer {

// Returns x, the output of `unit`, unchanged. When the backward pass reaches this boundary, it has finished the unit
// above and begins this one. The boundary then notifies the observer of `params`.
torch::Tensor unit_boundary(const torch::Tensor& x, const FlatParams& params, size_t unit);

}  // namespace terse::trainer
