// The products of weights on the CPU kernels, for fp32 and for bf16 weights. The kernels take both factors in the dtype
// of the weight; results and sums are fp32.
#pragma once

#include <torch/types.h>

#include "trainer/kernels/kernels.h"

namespace terse::trainer::ops {

// Returns x [N, K] (fp32) in the dtype of the weight that multiplies it: itself, or rounded to bf16.
torch::Tensor as_factor(const torch::Tensor& x, torch::ScalarType dtype);

// Returns the panels (kernels::Table::pack_weight) of a weight [out, in], which is contiguous. The result has the sizes
// of the weight, but not the layout that they say.
torch::Tensor pack(const torch::Tensor& weight);

// x W^T + bias -> fp32 [N, out], for the panels of W. x is a factor; bias is fp32 [out] or undefined.
torch::Tensor multiply_packed(const torch::Tensor& x, const torch::Tensor& panels, const torch::Tensor& bias);

// sum (fp32 [N, in]) = dy W, or sum += dy W; dy is a factor [N, out]. Continuing a sum continues its chains, so the
// rows of W may be taken apart, after an even number of them.
void multiply_rows(const torch::Tensor& dy, const torch::Tensor& weight, const torch::Tensor& sum, bool accumulate);

// grad (fp32 [out, in]) += dy^T x, summed as kernels::Sequences says; both are factors.
void add_weight_grad(const torch::Tensor& dy, const torch::Tensor& x, const torch::Tensor& grad,
                     const kernels::Sequences& sequences);

}  // namespace terse::trainer::ops
