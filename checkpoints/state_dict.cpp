// Adding whole tensors to a state and taking them out again.
#include "checkpoints/state_dict.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace terse::checkpoints {

void StateDict::add(const std::string& name, const torch::Tensor& whole) {
  if (!whole.defined()) throw std::invalid_argument(fmt::format("state tensor {}: it is undefined", name));
  const torch::Tensor data = whole.detach();
  if (!tensors.emplace(name, Shard{data, data.sizes().vec(), 0, data.numel()}).second) {
    throw std::invalid_argument(fmt::format("state tensor {}: added twice", name));
  }
}

torch::Tensor StateDict::whole(const std::string& name) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    std::string near;  // the first names in order from where it would stand
    auto it = tensors.lower_bound(name);
    for (int i = 0; i < 3 && it != tensors.end(); ++i, ++it) near += (i > 0 ? ", " : "; next to it: ") + it->first;
    throw std::runtime_error(
        fmt::format("state tensor {}: not among the {} tensors of this checkpoint{}", name, tensors.size(), near));
  }
  const Shard& shard = found->second;
  int64_t elements = 1;
  for (const int64_t size : shard.shape) elements *= size;
  if (shard.begin != 0 || shard.end != elements) {
    throw std::runtime_error(fmt::format("state tensor {}: elements {} to {} are here, all {} of shape [{}] are needed",
                                         name, shard.begin, shard.end, elements, fmt::join(shard.shape, ", ")));
  }
  return shard.data.reshape(shard.shape);
}

}  // namespace terse::checkpoints
