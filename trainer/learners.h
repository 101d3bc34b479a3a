// How the ranks of a world share out a model.
#pragma once

#include <memory>

#include "configs/run_config.h"
#include "trainer/dist/world.h"
#include "trainer/model/sharding.h"

namespace terse::trainer {

// The groups of ranks that learn together, by config.parallel: all of them share one copy of the state, or
// (hierarchical) those of each node do. Collective over the world; keep it as long as anything is sharded.
class Learners {
 public:
  Learners(const configs::Parallel& config, World& world, torch::Device device);
  const Sharding& sharding() const { return sharding_; }

 private:
  std::unique_ptr<Collectives> everyone_, shards_, replicas_;
  Sharding sharding_;
};

// How many of so many ranks only generate in the split layout: parallel.rollout_ranks, or half of them. Throws
// std::invalid_argument when none would be left to learn, or to generate.
int64_t rollout_ranks(const configs::Parallel& config, int64_t ranks);
// Throws std::invalid_argument unless every node has equally many ranks, which parallel.hierarchical needs.
void require_equal_nodes(int64_t ranks, int64_t nodes);
// What weights travel in to them (parallel.weight_transfer), for a model that computes in bf16 or not, on a GPU or not.
torch::ScalarType transfer_dtype(const configs::Parallel& config, bool bf16_model, bool cuda);

}  // namespace terse::trainer
