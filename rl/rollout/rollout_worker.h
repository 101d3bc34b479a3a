// Turns problems into verified rollout groups.
#pragma once

#include <chrono>
#include <future>
#include <vector>

#include "configs/run_config.h"
#include "rl/engine/engine.h"
#include "rl/tasks/tokenized_task.h"
#include "trainer/parallel/world.h"

namespace terse::rl {

// Returns the sampling parameters of this run's rollouts: rl.group_size responses to each problem.
SamplingParams rollout_sampling(const configs::RunConfig& config, const TokenizedTask& task);

// The engine's request for one group: sampling.n responses to one problem, which is the key of the random numbers.
GenerationRequest request_of(const Problem& problem, const SamplingParams& sampling);
// A response whose verification is in progress.
struct PendingRollout {
  Rollout rollout;
  std::future<Verdict> verdict;

  bool ready() const { return verdict.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }
  // Waits for the verdict. Reward and advantage are left at 0.
  Rollout get();
};
// Begins to verify a response.
PendingRollout begin_verification(const TokenizedTask& task, const Problem& problem, int64_t sample,
                                  Completion completion);

// Generates sampling.n responses to each problem and verifies them. When several ranks learn together, each generates
// and verifies its share of the problems, and gets all groups. `world`, if given, enters the phase "reward" when
// verification begins.
std::vector<RolloutGroup> roll_out(Engine& engine, const TokenizedTask& task, std::vector<Problem> problems,
                                   const SamplingParams& sampling, trainer::World* world = nullptr);

}  // namespace terse::rl
