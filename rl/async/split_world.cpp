// Weights get a group of their own, because their transfers run in the background beside other collectives.
#include "rl/async/split_world.h"

#include "trainer/learners.h"

namespace terse::rl {

SplitWorld::SplitWorld(const configs::Parallel& config, trainer::World& world, torch::Device device) : whole(world) {
  const trainer::Place& place = world.place();
  samplers = trainer::rollout_ranks(config, place.ranks);
  learners = place.ranks - samplers;
  weights = world.group(device).split("weights", 0, place.rank);
  part = trainer::split(world, device, "roles", learns() ? 0 : 1);
}

}  // namespace terse::rl
