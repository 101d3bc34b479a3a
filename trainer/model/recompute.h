// Activation checkpointing: keep a segment's input only, and run the segment again in backward (Chen et al., "Training
// deep nets with sublinear memory cost", 2016).
#pragma once

#include <torch/types.h>

#include <functional>
#include <vector>

namespace terse::trainer {

// Returns segment(x), with the same values and gradients. The backward pass calls `segment` again, so it must be pure.
// All outputs must be defined and depend on x.
using Segment = std::function<std::vector<torch::Tensor>(const torch::Tensor&)>;
std::vector<torch::Tensor> recompute(Segment segment, const torch::Tensor& x);

}  // namespace terse::trainer
