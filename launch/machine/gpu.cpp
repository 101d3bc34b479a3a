// NVML is opened at run time, so that a machine without a driver needs nothing from NVIDIA.
#include "launch/machine/gpu.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "base/errors.h"
#include "launch/machine/shared_library.h"

namespace terse::launch {
namespace {

// The types of nvml.h that the calls below need.
struct NvmlMemory {
  unsigned long long total, free, used;
};
using NvmlDevice = void*;

class Nvml {
 public:
  // Throws MachineError when the driver is absent or does not answer. The user reads the message.
  Nvml() : library_("libnvidia-ml.so.1") {
    if (!library_) throw MachineError("no NVIDIA driver on this machine (libnvidia-ml.so.1 is not installed)");
    if (const int status = call<int()>("nvmlInit_v2"); status != 0)
      throw MachineError(fmt::format("the NVIDIA driver does not respond (nvmlInit: {})", describe(status)));
  }
  ~Nvml() { call<int()>("nvmlShutdown"); }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // Calls `name`; a missing entry point counts as NVML_ERROR_FUNCTION_NOT_FOUND.
  template <typename Signature, typename... Args>
  int call(const char* name, Args... args) const {
    auto* function = library_.symbol<Signature>(name);
    return function != nullptr ? function(args...) : 13;
  }

 private:
  std::string describe(int status) const {
    auto* text = library_.symbol<const char*(int)>("nvmlErrorString");
    return text != nullptr ? text(status) : fmt::format("error {}", status);
  }

  SharedLibrary library_;
};

GpuDevice inspect_device(const Nvml& nvml, unsigned index) {
  GpuDevice device;
  NvmlDevice handle = nullptr;
  if (nvml.call<int(unsigned, NvmlDevice*)>("nvmlDeviceGetHandleByIndex_v2", index, &handle) != 0) {
    device.name = "unreadable";
    return device;
  }
  std::array<char, 128> name{};
  nvml.call<int(NvmlDevice, char*, unsigned)>("nvmlDeviceGetName", handle, name.data(), unsigned{name.size() - 1});
  device.name = name.data();
  int major = 0, minor = 0;
  nvml.call<int(NvmlDevice, int*, int*)>("nvmlDeviceGetCudaComputeCapability", handle, &major, &minor);
  device.compute_capability = fmt::format("{}.{}", major, minor);
  NvmlMemory memory{};
  nvml.call<int(NvmlDevice, NvmlMemory*)>("nvmlDeviceGetMemoryInfo", handle, &memory);
  device.memory_bytes = static_cast<int64_t>(memory.total);
  device.free_bytes = static_cast<int64_t>(memory.free);
  return device;
}

void inspect_driver(Gpus& gpus) {
  const Nvml nvml;
  std::array<char, 96> version{};
  nvml.call<int(char*, unsigned)>("nvmlSystemGetDriverVersion", version.data(), unsigned{version.size() - 1});
  gpus.driver = version.data();
  int cuda = 0;
  nvml.call<int(int*)>("nvmlSystemGetCudaDriverVersion_v2", &cuda);
  gpus.cuda = fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10);
  unsigned count = 0;
  nvml.call<int(unsigned*)>("nvmlDeviceGetCount_v2", &count);
  for (unsigned i = 0; i < count; ++i) gpus.devices.push_back(inspect_device(nvml, i));
  if (count == 0) gpus.why_none = "the NVIDIA driver is installed but finds no device";
}

}  // namespace

Gpus inspect_gpus() {
  Gpus gpus;
  gpus.torch_cuda = std::filesystem::exists(std::filesystem::path(TERSE_TORCH_LIB) / "libtorch_cuda.so");
  gpus.kernels = TERSE_WITH_CUDA != 0;
  try {
    inspect_driver(gpus);
  } catch (const MachineError& error) {
    gpus.why_none = error.what();
  }
  return gpus;
}

nlohmann::json to_json(const Gpus& gpus) {
  nlohmann::json devices = nlohmann::json::array();
  for (const GpuDevice& device : gpus.devices)
    devices.push_back({{"name", device.name},
                       {"compute_capability", device.compute_capability},
                       {"memory_bytes", device.memory_bytes},
                       {"free_bytes", device.free_bytes}});
  return {{"driver", gpus.driver},       {"cuda", gpus.cuda},       {"devices", devices},
          {"why_none", gpus.why_none},   {"usable", gpus.usable()}, {"libtorch_cuda", gpus.torch_cuda},
          {"cuda_kernels", gpus.kernels}};
}

}  // namespace terse::launch
