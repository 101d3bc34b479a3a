// Weights get a group of their own, because their transfers run in the background beside other collectives.
#include "rl/async/split_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/errors.h"
#include "trainer/learners.h"

namespace terse::rl {

bool splits(const configs::RunConfig& config) {
  const std::vector<std::string>& stages = config.stages;
  return config.parallel.layout == "split" && std::find(stages.begin(), stages.end(), "rl") != stages.end();
}

int64_t rollout_ranks(const configs::Parallel& config, int64_t ranks) {
  const int64_t samplers = config.rollout_ranks > 0 ? config.rollout_ranks : ranks / 2;
  if (samplers > 0 && samplers < ranks) return samplers;
  throw std::invalid_argument(fmt::format(
      "parallel.layout is split, which needs ranks that learn and ranks that generate; there are {} ranks "
      "and parallel.rollout_ranks is {}: start more ranks (launch/mpirun.sh -n 2), or set parallel.layout to colocated",
      ranks, config.rollout_ranks));
}

void check_ranks(const configs::RunConfig& config, int64_t ranks, int64_t nodes) {
  const configs::Parallel& parallel = config.parallel;
  try {
    if (splits(config)) {
      rollout_ranks(parallel, ranks);
    } else if (parallel.hierarchical) {
      trainer::require_equal_nodes(ranks, nodes);
    }
  } catch (const std::invalid_argument& error) {
    throw ConfigError(error.what());
  }
}

SplitWorld::SplitWorld(const configs::Parallel& config, trainer::World& world, torch::Device device) : whole(world) {
  const trainer::Place& place = world.place();
  samplers = rollout_ranks(config, place.ranks);
  learners = place.ranks - samplers;
  weights = world.group(device).split("weights", 0, place.rank);
  part = trainer::split(world, device, "roles", learns() ? 0 : 1);
}

}  // namespace terse::rl
