// What each rank of a distributed run keeps and sends, as ZeRO defines it (Rajbhandari et al., "ZeRO: memory
// optimizations toward training trillion parameter models", 2020). The units of sharding are: the embedding (and the
// head where it is tied), each block, and the final norm with an untied head. Every unit is split evenly over the
// sharding ranks.
#pragma once

#include <vector>

#include "configs/run_config.h"
#include "trainer/model/spec.h"
#include "trainer/plan/collective_cost.h"

namespace terse::trainer::plan {

// Elements of each unit, in the order in which a forward pass needs them. Together they are all parameters of the
// model.
std::vector<double> unit_sizes(const ModelSpec& spec);

struct Sharding {
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

}  // namespace terse::trainer::plan
