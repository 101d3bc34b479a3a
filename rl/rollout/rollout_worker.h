// Turns problems into verified rollout groups.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <vector>

#include "configs/run_config.h"
#include "rl/engine/engine.h"
#include "rl/tasks/tokenized_task.h"

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

// Generates sampling.n responses to each problem, and verifies each response while others are generated. When several
// ranks learn together, each generates and verifies its share of the problems, and gets all groups. `on_generated`, if
// given, is called when all responses of this rank have ended, before it waits for the last verdicts.
std::vector<RolloutGroup> roll_out(Engine& engine, const TokenizedTask& task, std::vector<Problem> problems,
                                   const SamplingParams& sampling, const std::function<void()>& on_generated = {});

}  // namespace terse::rl
