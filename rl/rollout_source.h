// The rollouts of one RL step: fresh problems, generated, priced for length, and replaced where a group teaches
// nothing.
#pragma once

#include <vector>

#include "rl/advantage.h"
#include "rl/compression_controller.h"
#include "rl/reward/length_penalty.h"
#include "rl/rollout_worker.h"

namespace terse::rl {

struct RolloutBatch {
  std::vector<RolloutGroup> groups;   // rl.prompts of them, rewards and advantages set
  std::vector<RolloutGroup> sampled;  // every group generated for this step, the replaced ones included, rewards set
  AdvantageStats advantage;
};

class RolloutSource {
 public:
  // References must outlive the source. `controller` limits lengths when rl.penalty.kind is adaptive; `world` is told
  // whether rollouts are being generated or rewarded.
  RolloutSource(const configs::RunConfig& config, const Task& task, Engine& engine,
                const CompressionController& controller, trainer::World& world);

  RolloutBatch next();

  int64_t cursor() const { return cursor_; }  // training problems used so far
  void restore(int64_t cursor) { cursor_ = cursor; }

 private:
  std::vector<RolloutGroup> sample(int64_t groups);
  void price(RolloutGroup& group) const;

  const configs::Rl& config_;
  const Task& task_;
  Engine& engine_;
  const CompressionController& controller_;
  trainer::World& world_;
  LengthPenalty penalty_;
  SamplingOptions sampling_;
  int64_t cursor_;
};

// How rollouts of this run are sampled.
SamplingOptions rollout_sampling(const configs::RunConfig& config, const Task& task);

}  // namespace terse::rl
