// On the CPU, memory is read by the kernel that sums squares, which does nothing else. A GPU reads by a sum.
#include "launch/bench/machine_speed.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "launch/bench/timing.h"
#include "trainer/kernels/kernels.h"

namespace terse::launch::bench {

namespace {

constexpr int kLeast = 5;
constexpr int64_t kLargeBytes = int64_t{512} << 20;

// A copy of one number to the host waits for everything that the GPU has to do.
void wait_for(const torch::Tensor& result) {
  if (!result.is_cpu()) result.flatten()[0].item();
}

double matmul_speed(torch::Device device, torch::ScalarType dtype, double seconds) {
  const int64_t n = device.is_cpu() ? 1024 : 8192;
  const torch::Tensor a = torch::randn({n, n}, device).to(dtype), b = torch::randn({n, n}, device).to(dtype);
  torch::Tensor c = torch::empty({n, n}, a.options());
  const double time = median_seconds(seconds, kLeast, [&] {
    at::mm_out(c, a, b);
    wait_for(c);
  });
  return 2.0 * static_cast<double>(n * n * n) / time;
}

double read_speed(torch::Device device, int64_t bytes, int64_t repeats, double seconds) {
  namespace kernels = trainer::kernels;
  const int64_t count = bytes / 4;
  const torch::Tensor x = torch::ones({count}, device);
  torch::Tensor sums = torch::empty({(count + kernels::kSquareBlock - 1) / kernels::kSquareBlock});
  const double time = median_seconds(seconds, kLeast, [&] {
    for (int64_t i = 0; i < repeats; ++i) {
      if (device.is_cpu())
        kernels::cpu().square_sums(x.data_ptr<float>(), sums.data_ptr<float>(), count);
      else
        wait_for(x.sum());
    }
  });
  return static_cast<double>(bytes * repeats) / time;
}

}  // namespace

MachineSpeed measure_machine(torch::Device device, double seconds) {
  const at::NoGradGuard no_grad;
  MachineSpeed speed;
  speed.matmul_fp32 = matmul_speed(device, torch::kFloat32, seconds);
  speed.matmul_bf16 = matmul_speed(device, torch::kBFloat16, seconds);
  speed.memory_read = read_speed(device, kLargeBytes, 1, seconds);
  constexpr int64_t kCacheBytes = 512 << 10;  // of each thread
  if (device.is_cpu()) speed.cache_read = read_speed(device, kCacheBytes * at::get_num_threads(), 100, seconds);
  return speed;
}

}  // namespace terse::launch::bench
