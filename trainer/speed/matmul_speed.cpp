// Starts with small matrices and doubles them, so that a slow device is not measured for long.
#include "trainer/speed/matmul_speed.h"

#include <chrono>

#include "base/clock.h"
#include "trainer/speed/timing.h"

namespace terse::trainer {

namespace {

constexpr int64_t kSmallest = 256, kLargest = 8192;
constexpr double kLongEnough = 0.002;  // seconds of a product, beside which starting it and waiting for it are nothing
constexpr int kLeast = 5;

struct Product {
  Product(torch::Device device, torch::ScalarType dtype, int64_t n)
      : a(matrix(device, dtype, n).uniform_(-1, 1)),
        b(matrix(device, dtype, n).uniform_(-1, 1)),
        c(matrix(device, dtype, n)) {}
  void compute() {
    at::mm_out(c, a, b);
    wait_for(c);
  }
  // On the CPU the memory does not come from LibTorch's allocator, whose peak is that of training (launch/plan).
  static torch::Tensor matrix(torch::Device device, torch::ScalarType dtype, int64_t n) {
    const auto options = torch::TensorOptions(dtype).device(device);
    if (!device.is_cpu()) return torch::empty({n, n}, options);
    const size_t bytes = static_cast<size_t>(n * n) * torch::elementSize(dtype);
    return torch::from_blob(
        ::operator new(bytes), {n, n}, [](void* memory) { ::operator delete(memory); }, options);
  }
  torch::Tensor a, b, c;
};

int64_t size_for(torch::Device device, torch::ScalarType dtype) {
  for (int64_t n = kSmallest; n < kLargest; n *= 2) {
    Product product(device, dtype, n);
    product.compute();  // the first one of a size also sets things up
    const auto start = std::chrono::steady_clock::now();
    product.compute();
    if (seconds_since(start) >= kLongEnough) return n;
  }
  return kLargest;
}

double matmul_speed(torch::Device device, torch::ScalarType dtype, double seconds) {
  const at::NoGradGuard no_grad;
  const int64_t n = size_for(device, dtype);
  Product product(device, dtype, n);
  // The fastest, because a run compares all of its steps with what it measures here in a moment.
  const double time = time_repeated(seconds, kLeast, [&] { product.compute(); }).fastest;
  return 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / time;
}

}  // namespace

MatmulSpeed measure_matmul(torch::Device device, double seconds) {
  return {matmul_speed(device, torch::kFloat32, seconds), matmul_speed(device, torch::kBFloat16, seconds)};
}

double matmul_speed_of_model(torch::Device device, bool is_bf16, double seconds) {
  if (is_bf16) return measure_matmul(device, seconds).of_model(true);
  return matmul_speed(device, torch::kFloat32, seconds);
}

void wait_for(const torch::Tensor& result) {
  if (!result.is_cpu()) result.flatten()[0].item();
}

}  // namespace terse::trainer
