// How fast this machine multiplies matrices and reads memory: the limits that the speed of a model is compared with.
#pragma once

#include <torch/types.h>

#include <algorithm>

namespace terse::launch::bench {

// 0: not measured.
struct MachineSpeed {
  double matmul_fp32 = 0;  // floating-point operations per second of LibTorch's fastest matrix product
  double matmul_bf16 = 0;
  double memory_read = 0;  // bytes per second, of more than any cache holds
  double cache_read = 0;   // bytes per second, of what the nearest caches of all cores hold; CPU only

  // Returns the speed that a model in this dtype is compared with. Some processors multiply bf16 matrices slower than
  // fp32 ones.
  double matmul(bool bf16) const { return bf16 ? std::max(matmul_bf16, matmul_fp32) : matmul_fp32; }
};

// Measures each for about `seconds`, with the threads that LibTorch and OpenMP have.
MachineSpeed measure_machine(torch::Device device, double seconds);

}  // namespace terse::launch::bench
