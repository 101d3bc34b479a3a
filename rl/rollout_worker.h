// Turns problems into verified rollout groups.
#pragma once

#include <vector>

#include "rl/engine/engine.h"
#include "rl/env/task.h"
#include "trainer/dist/world.h"

namespace terse::rl {

// The engine requests of one group: `group_size` responses to one problem. The problem is part of the key of the random
// numbers.
std::vector<GenerationRequest> requests_of(const Problem& problem, int64_t group_size);
// Verifies a response. Reward and advantage are left at 0.
Rollout verified(const Task& task, const Problem& problem, int64_t sample, Completion completion);

// Generates `group_size` responses to each problem and verifies them. When several ranks learn together, each generates
// and verifies its share of the problems, and gets all groups. `world`, if given, enters the phase "reward" when
// verification begins.
std::vector<RolloutGroup> roll_out(Engine& engine, const Task& task, std::vector<Problem> problems, int64_t group_size,
                                   const SamplingOptions& sampling, trainer::World* world = nullptr);

}  // namespace terse::rl
