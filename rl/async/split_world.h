// The split layout: the first ranks learn, the last ones only generate.
#pragma once

#include <memory>

#include "configs/run_config.h"
#include "trainer/parallel/world.h"

namespace terse::rl {

// Whether some ranks only generate: parallel.layout is split, and there is an rl stage.
bool splits(const configs::RunConfig& config);

// Returns how many of the `ranks` ranks only generate in the split layout: parallel.rollout_ranks, or half of the ranks
// if that is 0. Throws std::invalid_argument when no rank would be left to learn or to generate.
int64_t rollout_ranks(const configs::Parallel& config, int64_t ranks);

// Checks the limits that depend on the number of ranks and nodes. Throws ConfigError.
void check_ranks(const configs::RunConfig& config, int64_t ranks, int64_t nodes);

// Collective over `world`, which must outlive it. Throws std::invalid_argument when there are too few ranks.
struct SplitWorld {
  SplitWorld(const configs::Parallel& config, trainer::World& world, torch::Device device);

  trainer::World& whole;
  std::unique_ptr<trainer::Collectives> weights;  // all ranks; carries weights and nothing else
  std::unique_ptr<trainer::World> part;           // the ranks with the same role as this one
  int64_t learners = 0;                           // ranks [0, learners) learn
  int64_t samplers = 0;                           // ranks [learners, learners + samplers) generate

  bool learns() const { return whole.place().rank < learners; }
};

}  // namespace terse::rl
