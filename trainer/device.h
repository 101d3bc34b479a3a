// Chooses the device of a run and sets up LibTorch's threads. Call these functions before the first tensor is created.
#pragma once

#include <torch/types.h>

#include <string>

namespace terse::trainer {

// `wanted` is "cpu", "cuda" or "auto" (a GPU when there is one, else the CPU). On a machine with several GPUs, process
// `local_rank` uses GPU `local_rank` modulo their number. Loads LibTorch's CUDA libraries only when a GPU may be used,
// so a run on the CPU starts fast. Throws MachineError, which names what is missing, when `wanted` is "cuda" and no GPU
// can be used.
torch::Device choose_device(const std::string& wanted, int64_t local_rank = 0);

// Sets the number of CPU threads and turns on LibTorch's deterministic mode. Returns the number of threads, which is at
// most 64 per core. 0 divides the cores that this process may use, within the quota of its control group, among the
// `processes` on this machine. Throws std::system_error when the system refuses to start that many threads.
int64_t set_threads(int64_t threads, int64_t processes = 1);

}  // namespace terse::trainer
