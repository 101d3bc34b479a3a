// The helper functions of the interface, built on its operations.
#include "trainer/parallel/collectives/collectives.h"

#include <fmt/format.h>

#include <cstring>
#include <numeric>
#include <stdexcept>

namespace terse::trainer {

void barrier(Collectives& group, std::string_view name) {
  const torch::Tensor here = torch::ones({1}, torch::device(group.device()).dtype(torch::kInt64));
  group.all_reduce(name, here, Reduce::kSum).wait();
  // item() makes the host wait for the stream of a GPU, too.
  if (const int64_t ranks = here.item<int64_t>(); ranks != group.size())
    throw std::logic_error(
        fmt::format("barrier \"{}\" counted {} ranks, but the group has {}", name, ranks, group.size()));
}

std::vector<std::string> all_gather_bytes(Collectives& group, std::string_view name, std::string_view mine) {
  const int64_t size = group.size();
  const auto lengths_on = torch::device(group.device()).dtype(torch::kInt64);
  torch::Tensor lengths = torch::zeros({size}, lengths_on);
  const torch::Tensor length = torch::full({1}, static_cast<int64_t>(mine.size()), lengths_on);
  group.all_gather(fmt::format("{} (lengths)", name), length, lengths, std::vector<int64_t>(size, 1)).wait();
  lengths = lengths.cpu();
  const std::vector<int64_t> counts(lengths.data_ptr<int64_t>(), lengths.data_ptr<int64_t>() + size);

  torch::Tensor bytes = torch::empty({static_cast<int64_t>(mine.size())}, torch::kUInt8);
  if (!mine.empty()) std::memcpy(bytes.data_ptr(), mine.data(), mine.size());
  const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  torch::Tensor all = torch::empty({total}, torch::device(group.device()).dtype(torch::kUInt8));
  group.all_gather(name, bytes.to(group.device()), all, counts).wait();
  all = all.cpu();

  std::vector<std::string> result;
  const char* next = static_cast<const char*>(all.data_ptr());
  for (const int64_t count : counts) {
    result.emplace_back(next, count);
    next += count;
  }
  return result;
}

}  // namespace terse::trainer
