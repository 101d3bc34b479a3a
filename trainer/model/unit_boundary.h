// The place between two units in the graph of a forward pass.
#pragma once

#include "trainer/model/params.h"

namespace terse::trainer {

// x itself, the output of `unit`. When its gradient is taken, the unit above has ended and this one begins; then the
// observer of `params` is told.
torch::Tensor unit_boundary(const torch::Tensor& x, const FlatParams& params, size_t unit);

}  // namespace terse::trainer
