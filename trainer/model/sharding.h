// Decides which rank owns which weights. Each unit of the flat buffer (ParamLayout) is divided in whole blocks of
// kernels::kSquareBlock elements, as evenly as these allow. So sums over blocks do not depend on the number of ranks.
// The owner holds the fp32 master weights, moments and summed gradient of its ranges.
//
//   ZeRO stage   every rank holds                   (Rajbhandari et al., "ZeRO", 2020, arXiv 1910.02054)
//   1            all weights and a whole gradient
//   2            all weights
//   3            the units at work
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/model/param_layout.h"
#include "trainer/parallel/collectives/collectives.h"

namespace terse::trainer {

// The groups must outlive everything that is sharded over them. A single process has no groups.
struct Sharding {
  int64_t zero = 1;
  Collectives* everyone = nullptr;  // all ranks that learn; rank r of R takes the r-th share of every batch
  Collectives* shards = nullptr;    // consecutive ranks of `everyone` that share one copy of the state
  Collectives* replicas = nullptr;  // the ranks that own the same ranges; null: everyone shares one copy

  bool distributed() const { return everyone != nullptr && everyone->size() > 1; }
  int64_t rank() const { return distributed() ? everyone->rank() : 0; }
  int64_t ranks() const { return distributed() ? everyone->size() : 1; }
};

// Elements [begin, end) of a unit, counted from the unit's start.
struct ShardRange {
  int64_t begin = 0, end = 0;
  int64_t count() const { return end - begin; }
};
ShardRange shard_of(const ParamUnit& unit, int64_t rank, int64_t ranks);

// What one rank owns: a range of every unit. Its buffers hold these ranges end to end.
struct Ownership {
  Ownership(const ParamLayout& layout, int64_t rank, int64_t ranks);
  struct Part {
    ShardRange range;
    int64_t at = 0;  // where it starts in the owner's buffers
  };
  std::vector<Part> parts;  // of each unit
  int64_t size = 0;         // elements, together
};

// Returns how many elements of a unit each of the `ranks` ranks owns.
std::vector<int64_t> shard_counts(const ParamUnit& unit, int64_t ranks);

}  // namespace terse::trainer
