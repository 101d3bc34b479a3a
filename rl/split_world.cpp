#include "rl/split_world.h"

#include <fmt/format.h>

#include <stdexcept>

namespace terse::rl {

int64_t rollout_ranks(const configs::Parallel& config, int64_t ranks) {
  const int64_t samplers = config.rollout_ranks > 0 ? config.rollout_ranks : ranks / 2;
  if (samplers > 0 && samplers < ranks) return samplers;
  throw std::invalid_argument(
      fmt::format("parallel.layout is split, which needs ranks that learn and ranks that generate; there are {} ranks "
                  "and parallel.rollout_ranks is {}: start more (launch/mpirun.sh -n 2), or use layout colocated",
                  ranks, config.rollout_ranks));
}

SplitWorld::SplitWorld(const configs::Parallel& config, trainer::World& world, torch::Device device) : whole(world) {
  const trainer::Place& place = world.place();
  samplers = rollout_ranks(config, place.ranks);
  learners = place.ranks - samplers;
  weights = world.group(device).split("weights", 0, place.rank);
  part = trainer::split(world, device, "roles", learns() ? 0 : 1);
}

}  // namespace terse::rl
