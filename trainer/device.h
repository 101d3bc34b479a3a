// Which device a run uses, and what has to happen before the first tensor.
#pragma once

#include <torch/types.h>

#include <string>

namespace terse::trainer {

// "cpu", "cuda", or "auto" (a GPU when there is one; of several, process `local_rank` of a machine takes the
// local_rank-th, and starts over when there are more processes than GPUs). Loads LibTorch's CUDA libraries only when a
// GPU may be used, so a run on the CPU starts fast. Throws MachineError saying what is missing when "cuda" was
// asked for and cannot be had.
torch::Device choose_device(const std::string& wanted, int64_t local_rank = 0);

// Fixes the number of CPU threads (at most 64 for each core; 0: all cores that this process may use, as far as the
// quota of its control group gives time for them, shared out over `processes` on this machine) and LibTorch's
// deterministic mode. Returns the number. Throws std::system_error when the system refuses so many.
int64_t set_threads(int64_t threads, int64_t processes = 1);

}  // namespace terse::trainer
