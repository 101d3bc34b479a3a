// Adds whole tensors to a state, and returns tensors or ranges of them. Errors name what is missing.
#include "checkpoints/state_dict.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/errors.h"

namespace terse::checkpoints {

namespace {

const Shard& find(const StateDict& state, const std::string& name) {
  const auto found = state.tensors.find(name);
  if (found != state.tensors.end()) return found->second;
  std::string near;  // the next names in sort order, to show in the message
  auto it = state.tensors.lower_bound(name);
  for (int i = 0; i < 3 && it != state.tensors.end(); ++i, ++it)
    near += (i > 0 ? ", " : "; names near it: ") + it->first;
  throw DataError(fmt::format("state tensor {}: it is not among the {} tensors of this checkpoint{}", name,
                              state.tensors.size(), near));
}

int64_t element_count(const Shard& shard) {
  int64_t elements = 1;
  for (const int64_t size : shard.shape) elements *= size;
  return elements;
}

}  // namespace

void StateDict::add(const std::string& name, const torch::Tensor& whole) {
  if (!whole.defined()) throw std::invalid_argument(fmt::format("state tensor {}: it is undefined", name));
  const torch::Tensor data = whole.detach();
  if (!tensors.emplace(name, Shard{data, data.sizes().vec(), 0, data.numel()}).second) {
    throw std::invalid_argument(fmt::format("state tensor {}: it was added twice", name));
  }
}

torch::Tensor StateDict::whole(const std::string& name) const {
  const Shard& shard = find(*this, name);
  const int64_t elements = element_count(shard);
  if (shard.begin != 0 || shard.end != elements) {
    throw DataError(
        fmt::format("state tensor {}: only elements {} to {} were loaded, but all {} of shape [{}] are needed", name,
                    shard.begin, shard.end, elements, fmt::join(shard.shape, ", ")));
  }
  return shard.data.reshape(shard.shape);
}

torch::Tensor StateDict::range(const std::string& name, int64_t begin, int64_t end) const {
  const Shard& shard = find(*this, name);
  const int64_t elements = element_count(shard);
  if (begin < 0 || begin > end || end > elements) {
    throw DataError(fmt::format("state tensor {}: elements {} to {} were requested, but shape [{}] has {}", name, begin,
                                end, fmt::join(shard.shape, ", "), elements));
  }
  std::vector<std::string> missing;
  const auto lacks = [&](int64_t from, int64_t to) {
    if (from < to) missing.push_back(fmt::format("{} to {}", from, to));
  };
  lacks(begin, std::min(end, shard.begin));
  lacks(std::max(begin, shard.end), end);
  if (!missing.empty()) {
    throw DataError(fmt::format(
        "state tensor {}: elements {} to {} were requested, but {} are missing; elements {} to {} of shape [{}] were "
        "loaded",
        name, begin, end, fmt::join(missing, " and "), shard.begin, shard.end, fmt::join(shard.shape, ", ")));
  }
  if (begin == end) return shard.data.reshape({-1}).slice(0, 0, 0);
  return shard.data.reshape({-1}).slice(0, begin - shard.begin, end - shard.begin);
}

}  // namespace terse::checkpoints
