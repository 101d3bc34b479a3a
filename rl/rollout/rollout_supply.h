// The source of a step's groups: an engine on the ranks that learn (EngineSupply), or ranks that only generate
// (rl/async/rollout_pool.h). All ranks that learn make the same calls and get the same groups.
#pragma once

#include <vector>

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
  void publish(int64_t version) override { engine_.refresh(version); }
  void order(std::vector<Problem> problems) override {
    for (Problem& problem : problems) ordered_.push_back(std::move(problem));
  }
  std::vector<RolloutGroup> collect(bool) override {
    world_.enter("rollout");
    return roll_out(engine_, task_, std::exchange(ordered_, {}), sampling_, &world_);
  }
  void drop() override { ordered_.clear(); }

 private:
  const TokenizedTask& task_;
  Engine& engine_;
  trainer::World& world_;
  SamplingParams sampling_;
  std::vector<Problem> ordered_;
};

}  // namespace terse::rl
