// Describes the NVIDIA GPUs of this machine. It reads them through the driver's management library (NVML), which is
// fast and creates no CUDA context.
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
  std::string cuda;    // newest CUDA version that the driver supports, "13.0"
  std::vector<GpuDevice> devices;
  std::string why_none;     // the reason, when `devices` is empty
  bool torch_cuda = false;  // LibTorch's CUDA libraries are installed
  bool kernels = false;     // this build holds CUDA kernels
  // True when this program can train on a GPU of this machine.
  bool usable() const { return !devices.empty() && torch_cuda; }
};

// A machine without a driver is no error: `why_none` gives the reason.
Gpus inspect_gpus();
nlohmann::json to_json(const Gpus& gpus);

}  // namespace terse::launch
