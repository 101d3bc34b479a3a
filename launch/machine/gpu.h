// NVIDIA GPUs of this machine, read through the driver's management library (NVML), which opens no context and is fast.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace terse::launch {

struct GpuDevice {
  std::string name;
  std::string compute_capability;  // "9.0"
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;
};

struct Gpus {
  std::string driver;  // "580.65", empty without a driver
  std::string cuda;    // newest CUDA that the driver runs, "13.0"
  std::vector<GpuDevice> devices;
  std::string why_none;     // a sentence when `devices` is empty
  bool torch_cuda = false;  // LibTorch's CUDA libraries are installed
  bool kernels = false;     // this build holds CUDA kernels
  // A GPU that this program can train on.
  bool usable() const { return !devices.empty() && torch_cuda; }
};

Gpus inspect_gpus();
nlohmann::json to_json(const Gpus& gpus);

}  // namespace terse::launch
