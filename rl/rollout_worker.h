// From problems to verified rollout groups.
#pragma once

#include <vector>

#include "rl/engine/engine.h"
#include "rl/env/task.h"
#include "trainer/dist/world.h"

namespace terse::rl {

// Generates `group_size` responses to each problem and verifies them. Rewards and advantages are left at 0. Of several
// ranks that learn together each generates and verifies its share of the problems, and gets all groups. `world`: is
// told when generation has ended and verification begins (phase "reward").
std::vector<RolloutGroup> roll_out(Engine& engine, const Task& task, std::vector<Problem> problems, int64_t group_size,
                                   const SamplingOptions& sampling, trainer::World* world = nullptr);

}  // namespace terse::rl
