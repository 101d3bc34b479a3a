// Divides the ranks of a world into the groups that train a model.
#pragma once

#include <memory>

#include "configs/run_config.h"
#include "trainer/model/sharding.h"
#include "trainer/parallel/world.h"

namespace terse::trainer {

// The groups of ranks that learn together, as configured in config.parallel. All ranks share one copy of the state.
// With parallel.hierarchical, the ranks of each node share one copy. The constructor is collective over the world. The
// object must outlive everything that is sharded over its groups.
class Learners {
 public:
  Learners(const configs::Parallel& config, World& world, torch::Device device);
  const Sharding& sharding() const { return sharding_; }

 private:
  std::unique_ptr<Collectives> everyone_, shards_, replicas_;
  Sharding sharding_;
};

// Throws std::invalid_argument unless every node has equally many ranks, which parallel.hierarchical needs.
void require_equal_nodes(int64_t ranks, int64_t nodes);

}  // namespace terse::trainer
