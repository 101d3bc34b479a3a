// Which device a run uses, and what has to happen before the first tensor.
#pragma once

#include <torch/types.h>

#include <string>

namespace terse::trainer {

// "cpu", "cuda", or "auto" (a GPU when there is one; of several, process `local_rank` of a machine takes the
// local_rank-th, and starts over when there are more processes than GPUs). Loads LibTorch's CUDA libraries only when a
// GPU may be used, so a run on the CPU starts fast. Throws configs::MachineError saying what is missing when "cuda" was
// asked for and cannot be had.
torch::Device choose_device(const std::string& wanted, int64_t local_rank = 0);

// Fixes the number of CPU threads (0: all that this process may use, shared out over `processes` on this machine; at
// most 64 for each core) and LibTorch's deterministic mode. Returns the number.
int64_t set_threads(int64_t threads, int64_t processes = 1);

}  // namespace terse::trainer
