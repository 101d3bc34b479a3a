// Splits the world's group. Consecutive ranks of the new groups are on the same node.
#include "trainer/learners.h"

#include <fmt/format.h>

#include <stdexcept>

namespace terse::trainer {

Learners::Learners(const configs::Parallel& config, World& world, torch::Device device) {
  const Place& place = world.place();
  if (place.ranks == 1) return;
  sharding_.zero = config.zero;
  everyone_ = world.group(device).split("learners", 0, place.node * place.ranks + place.local_rank);
  sharding_.everyone = sharding_.shards = everyone_.get();
  if (!config.hierarchical) return;
  require_equal_nodes(place.ranks, place.nodes);
  shards_ = everyone_->split("ranks of a node", place.node, place.local_rank);
  replicas_ = everyone_->split("same place on every node", place.local_rank, place.node);
  sharding_.shards = shards_.get();
  sharding_.replicas = replicas_.get();
}

void require_equal_nodes(int64_t ranks, int64_t nodes) {
  if (ranks % nodes == 0) return;
  throw std::invalid_argument(
      fmt::format("parallel.hierarchical needs the same number of ranks on every node; there are {} ranks on {} nodes",
                  ranks, nodes));
}

}  // namespace terse::trainer
