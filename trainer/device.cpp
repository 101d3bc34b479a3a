// libtorch_cuda.so registers its kernels when it is loaded. So it must be loaded before any code asks LibTorch for
// CUDA.
#include "trainer/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <exception>
#include <future>
#include <system_error>
#include <thread>
#include <vector>

#include "base/errors.h"
#include "trainer/control_group.h"

namespace terse::trainer {

namespace {

// Loads LibTorch's CUDA libraries. Returns an empty string when LibTorch can use a GPU, else the reason why it cannot.
std::string load_cuda() {
  static const std::string problem = [] {
    if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) == nullptr)
      return std::string("this machine has no NVIDIA driver (libcuda.so.1)");
    if (dlopen(TERSE_TORCH_LIB "/libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      return fmt::format("LibTorch's CUDA libraries cannot be loaded (run scripts/setup.sh --cuda): {}", dlerror());
    }
    if (!at::globalContext().hasCUDA() || at::detail::getCUDAHooks().deviceCount() == 0)
      return std::string("LibTorch finds no usable GPU");
    return std::string();
  }();
  return problem;
}

// The OpenMP runtime ends the process or hangs when the system refuses it a thread. So this function first starts that
// many threads itself and throws when the system refuses one.
void require_threads(int64_t count) {
  std::promise<void> all_tried;
  const std::shared_future<void> end = all_tried.get_future().share();
  std::vector<std::thread> threads;
  std::exception_ptr refusal;
  try {
    while (static_cast<int64_t>(threads.size()) < count) threads.emplace_back([end] { end.wait(); });
  } catch (const std::system_error& error) {
    refusal = std::make_exception_ptr(std::system_error(
        error.code(),
        fmt::format("the system starts only {} of the {} threads that this run needs", threads.size(), count)));
  }
  all_tried.set_value();
  for (std::thread& thread : threads) thread.join();
  if (refusal) std::rethrow_exception(refusal);
}

}  // namespace

torch::Device choose_device(const std::string& wanted, int64_t local_rank) {
  if (wanted == "cpu") return torch::kCPU;
  const std::string problem = load_cuda();
  if (problem.empty()) {
    const int64_t count = at::detail::getCUDAHooks().deviceCount();
    const torch::Device device(torch::kCUDA, static_cast<c10::DeviceIndex>(local_rank % count));
    c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
    return device;
  }
  if (wanted == "cuda") {
    throw MachineError(fmt::format(
        "run.device is cuda, but {}. Use --device auto or cpu here; `terse doctor` shows details.", problem));
  }
  return torch::kCPU;
}

int64_t set_threads(int64_t threads, int64_t processes) {
  // More threads would only wait for each other, and the OpenMP runtime was seen to crash with 4,096. No result depends
  // on the number of threads.
  constexpr int64_t kMostPerCore = 64;
  cpu_set_t allowed;
  const int64_t cores = sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
  threads = threads > 0 ? std::min(threads, kMostPerCore * cores)
                        : std::max<int64_t>(1, usable_cores(cores, core_quota()) / processes);
  require_threads(2 * threads);  // the backward pass has its own team of threads
  at::set_num_threads(static_cast<int>(threads));
  omp_set_num_threads(static_cast<int>(threads));
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // else LibTorch fills every empty tensor
  return threads;
}

}  // namespace terse::trainer
