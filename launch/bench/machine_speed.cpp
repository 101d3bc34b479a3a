// On the CPU, memory is read by the kernel that sums squares, which does nothing else. A GPU reads by a sum.
#include "launch/bench/machine_speed.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "trainer/kernels/kernels.h"
#include "trainer/speed/matmul_speed.h"
#include "trainer/speed/timing.h"

namespace terse::launch::bench {

namespace {

constexpr int kLeast = 5;
constexpr int64_t kLargeBytes = int64_t{512} << 20;

double read_speed(torch::Device device, int64_t bytes, int64_t repeats, double seconds) {
  namespace kernels = trainer::kernels;
  const int64_t count = bytes / 4;
  const torch::Tensor x = torch::ones({count}, device);
  torch::Tensor sums = torch::empty({(count + kernels::kSquareBlock - 1) / kernels::kSquareBlock});
  const auto read = [&] {
    for (int64_t i = 0; i < repeats; ++i) {
      if (device.is_cpu())
        kernels::cpu().square_sums(x.data_ptr<float>(), sums.data_ptr<float>(), count);
      else
        trainer::wait_for(x.sum());
    }
  };
  const double time = trainer::time_repeated(seconds, kLeast, read).median;
  return static_cast<double>(bytes * repeats) / time;
}

}  // namespace

MachineSpeed measure_machine(torch::Device device, double seconds) {
  const at::NoGradGuard no_grad;
  MachineSpeed speed;
  speed.matmul = trainer::measure_matmul(device, seconds);
  speed.memory_read = read_speed(device, kLargeBytes, 1, seconds);
  constexpr int64_t kCacheBytes = 512 << 10;  // of each thread
  if (device.is_cpu()) speed.cache_read = read_speed(device, kCacheBytes * at::get_num_threads(), 100, seconds);
  return speed;
}

}  // namespace terse::launch::bench
