// The source of a step's groups: an engine on the ranks that learn (EngineSupply), or ranks that only generate
// (rl/async/rollout_pool.h). All ranks that learn make the same calls and get the same groups.
#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "rl/rollout/rollout_worker.h"
#include "trainer/session.h"

namespace terse::rl {

class RolloutSupply {
 public:
  virtual ~RolloutSupply() = default;
  // Announces that the model's weights are now those of `version`. Versions ascend.
  virtual void publish(int64_t version) = 0;
  // Orders one group for each problem.
  virtual void order(std::vector<Problem> problems) = 0;
  // Waits for ordered groups and returns at least one of them or, with `all`, all of them in order of problem. Rewards
  // and advantages are left at 0. Throws trainer::StopRequested when a stop was requested.
  virtual std::vector<RolloutGroup> collect(bool all) = 0;
  // Cancels all orders.
  virtual void drop() = 0;
  // Metrics of the last step.
  virtual trainer::Metrics metrics() const { return {}; }
};

// Generates in collect(), always with the newest weights. Task, engine and world must outlive it.
class EngineSupply final : public RolloutSupply {
 public:
  EngineSupply(const configs::RunConfig& config, const TokenizedTask& task, Engine& engine, trainer::World& world)
      : task_(task), engine_(engine), world_(world), sampling_(rollout_sampling(config, task)) {}
  void publish(int64_t version) override {
    engine_.refresh(version);
    reward_seconds_ = 0;
  }
  void order(std::vector<Problem> problems) override {
    for (Problem& problem : problems) ordered_.push_back(std::move(problem));
  }
  std::vector<RolloutGroup> collect(bool) override {
    world_.enter("rollout");
    std::chrono::steady_clock::time_point generated;
    std::vector<RolloutGroup> groups = roll_out(engine_, task_, std::exchange(ordered_, {}), sampling_, [&] {
      world_.enter("reward");
      generated = std::chrono::steady_clock::now();
    });
    reward_seconds_ += seconds_since(generated);
    return groups;
  }
  void drop() override { ordered_.clear(); }
  trainer::Metrics metrics() const override { return {{"time/reward", reward_seconds_}}; }

 private:
  const TokenizedTask& task_;
  Engine& engine_;
  trainer::World& world_;
  SamplingParams sampling_;
  std::vector<Problem> ordered_;
  double reward_seconds_ = 0;  // of the last step: from the last token to the groups
};

}  // namespace terse::rl
