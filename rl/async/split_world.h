// The split layout: the first ranks learn, the last ones only generate.
#pragma once

#include <memory>

#include "configs/run_config.h"
#include "trainer/parallel/world.h"

namespace terse::rl {

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
