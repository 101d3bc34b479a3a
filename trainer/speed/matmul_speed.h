// The speed at which a device multiplies matrices: the peak that the speed of a model is compared with.
#pragma once

#include <torch/types.h>

namespace terse::trainer {

// Floating-point operations per second of LibTorch's matrix product, with the threads that LibTorch has: the fastest
// product in about `seconds`. The matrices are large enough for a GPU and for a few dozen cores.
double matmul_speed(torch::Device device, torch::ScalarType dtype, double seconds);

// A copy of one number to the host waits for everything that a GPU has to do.
void wait_for(const torch::Tensor& result);

}  // namespace terse::trainer
