// The speed at which a device multiplies matrices: the peak that the speed of a model is compared with.
#pragma once

#include <torch/types.h>

#include <algorithm>

namespace terse::trainer {

// Floating-point operations per second of LibTorch's matrix product, with the threads that LibTorch has.
struct MatmulSpeed {
  double fp32 = 0, bf16 = 0;  // 0: not measured

  // The speed that a model is compared with. Some processors multiply bf16 matrices slower than fp32 ones, so a bf16
  // model is compared with the faster.
  double of_model(bool is_bf16) const { return is_bf16 ? std::max(fp32, bf16) : fp32; }
};

// Takes the fastest product in about `seconds` for each dtype. The matrices are large enough for a GPU and for a few
// dozen cores.
MatmulSpeed measure_matmul(torch::Device device, double seconds);
// Measures only what of_model() needs.
double matmul_speed_of_model(torch::Device device, bool is_bf16, double seconds);

// A copy of one number to the host waits for everything that a GPU has to do.
void wait_for(const torch::Tensor& result);

}  // namespace terse::trainer
