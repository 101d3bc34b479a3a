// Copies the values to the CPU and adds them there, one sequence at a time.
#include "trainer/loss.h"

#include <numeric>

#include "trainer/model/profile_scope.h"

namespace terse::trainer {

std::vector<double> sequence_sums(const torch::Tensor& values, const torch::Tensor& sequences) {
  const torch::Tensor host = values.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  const torch::Tensor bounds = sequences.to(torch::kCPU).contiguous();
  const float* value = host.data_ptr<float>();
  const int32_t* start = bounds.data_ptr<int32_t>();
  std::vector<double> sums;
  for (int64_t s = 0; s + 1 < bounds.size(0); ++s)
    sums.push_back(std::accumulate(value + start[s], value + start[s + 1], 0.0));
  return sums;
}

void backward(const torch::Tensor& loss) {
  const ProfileScope scope("backward");
  loss.backward();
}

}  // namespace terse::trainer
