// Turns problems into verified rollout groups.
#pragma once

#include <vector>

#include "configs/run_config.h"
#include "rl/engine/engine.h"
#include "rl/tasks/task.h"
#include "trainer/parallel/world.h"

namespace terse::rl {

// How rollouts of this run are sampled: rl.group_size responses to each problem.
SamplingParams rollout_sampling(const configs::RunConfig& config, const Task& task);

// The engine's request for one group: sampling.n responses to one problem, which is the key of the random numbers.
GenerationRequest request_of(const Problem& problem, const SamplingParams& sampling);
// Verifies a response. Reward and advantage are left at 0.
Rollout verified(const Task& task, const Problem& problem, int64_t sample, Completion completion);

// Generates sampling.n responses to each problem and verifies them. When several ranks learn together, each generates
// and verifies its share of the problems, and gets all groups. `world`, if given, enters the phase "reward" when
// verification begins.
std::vector<RolloutGroup> roll_out(Engine& engine, const Task& task, std::vector<Problem> problems,
                                   const SamplingParams& sampling, trainer::World* world = nullptr);

}  // namespace terse::rl
