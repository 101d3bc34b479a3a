// Divides the units among the ranks in whole blocks.
#include "trainer/model/sharding.h"

#include <algorithm>

#include "trainer/kernels/kernels.h"

namespace terse::trainer {

ShardRange shard_of(const ParamUnit& unit, int64_t rank, int64_t ranks) {
  const int64_t blocks = (unit.size() + kernels::kSquareBlock - 1) / kernels::kSquareBlock;
  const auto bound = [&](int64_t r) { return std::min(unit.size(), blocks * r / ranks * kernels::kSquareBlock); };
  return {bound(rank), bound(rank + 1)};
}

Ownership::Ownership(const ParamLayout& layout, int64_t rank, int64_t ranks) {
  for (const ParamUnit& unit : layout.units) {
    const ShardRange range = shard_of(unit, rank, ranks);
    parts.push_back({range, size});
    size += range.count();
  }
}

std::vector<int64_t> shard_counts(const ParamUnit& unit, int64_t ranks) {
  std::vector<int64_t> counts;
  for (int64_t rank = 0; rank < ranks; ++rank) counts.push_back(shard_of(unit, rank, ranks).count());
  return counts;
}

}  // namespace terse::trainer
