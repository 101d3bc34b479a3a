// How fast this machine multiplies matrices and reads memory: the limits that the speed of a model is compared with.
#pragma once

#include <torch/types.h>

#include "trainer/speed/matmul_speed.h"

namespace terse::launch::bench {

// 0: not measured.
struct MachineSpeed {
  trainer::MatmulSpeed matmul;
  double memory_read = 0;  // bytes per second, of more than any cache holds
  double cache_read = 0;   // bytes per second, of what the nearest caches of all cores hold; CPU only
};

// Measures each for about `seconds`, with the threads that LibTorch and OpenMP have.
MachineSpeed measure_machine(torch::Device device, double seconds);

}  // namespace terse::launch::bench
