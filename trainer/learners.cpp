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

torch::ScalarType transfer_dtype(const configs::Parallel& config, bool bf16_model, bool cuda) {
  const bool bf16 = config.weight_transfer == "bf16" || (config.weight_transfer == "auto" && bf16_model && cuda);
  return bf16 ? torch::kBFloat16 : torch::kFloat32;
}

int64_t rollout_ranks(const configs::Parallel& config, int64_t ranks) {
  const int64_t samplers = config.rollout_ranks > 0 ? config.rollout_ranks : ranks / 2;
  if (samplers > 0 && samplers < ranks) return samplers;
  throw std::invalid_argument(fmt::format(
      "parallel.layout is split, which needs ranks that learn and ranks that generate; there are {} ranks "
      "and parallel.rollout_ranks is {}: start more ranks (launch/mpirun.sh -n 2), or set parallel.layout to colocated",
      ranks, config.rollout_ranks));
}

}  // namespace terse::trainer
