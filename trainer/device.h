// Which device a run uses, and what has to happen before the first tensor.
#pragma once

#include <torch/types.h>

#include <string>

namespace terse::trainer {

// "cpu", "cuda", or "auto" (a GPU when there is one). Loads LibTorch's CUDA libraries only when a GPU may be used, so a
// run on the CPU starts fast. Throws std::runtime_error saying what is missing when "cuda" was asked for and cannot be
// had.
torch::Device choose_device(const std::string& wanted);

// Fixes the number of CPU threads (0: all that this process may use) and LibTorch's deterministic mode. Returns the
// number.
int64_t set_threads(int64_t threads);

}  // namespace terse::trainer
