// From problems to verified rollout groups.
#pragma once

#include <vector>

#include "rl/engine/engine.h"
#include "rl/env/task.h"
#include "trainer/dist/world.h"

namespace terse::rl {

// What the engine is asked for a group: `group_size` responses to one problem. Random numbers are keyed by it.
std::vector<GenerationRequest> requests_of(const Problem& problem, int64_t group_size);
// A response, verified. Reward and advantage are left at 0.
Rollout verified(const Task& task, const Problem& problem, int64_t sample, Completion completion);

// Generates `group_size` responses to each problem and verifies them. Of several ranks that learn together each
// generates and verifies its share of the problems, and gets all groups. `world`: is told when generation has ended and
// verification begins (phase "reward").
std::vector<RolloutGroup> roll_out(Engine& engine, const Task& task, std::vector<Problem> problems, int64_t group_size,
                                   const SamplingOptions& sampling, trainer::World* world = nullptr);

}  // namespace terse::rl
