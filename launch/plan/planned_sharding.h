// What each rank of a distributed run keeps and sends, as ZeRO defines it (Rajbhandari et al., "ZeRO: memory
// optimizations toward training trillion parameter models", 2020). Every unit (model_size.h) is split evenly over the
// sharding ranks.
#pragma once

#include <vector>

#include "configs/run_config.h"
#include "launch/plan/collective_cost.h"

namespace terse::launch::plan {

struct PlannedSharding {
  int64_t ranks = 1;
  int64_t ranks_per_node = 1;
  int64_t zero = 1;           // 1 | 2 | 3
  bool hierarchical = false;  // shard inside a node, replicate across nodes

  int64_t nodes() const { return (ranks + ranks_per_node - 1) / ranks_per_node; }
  // shard(): the ranks over which states are split. replicas(): the ranks that hold the same part and sum their
  // gradients.
  Group shard() const;
  Group replicas() const;
};

// Elements of one rank's part of all units. The part of every unit is rounded up.
double shard_elements(const std::vector<double>& units, int64_t ranks);

}  // namespace terse::launch::plan
