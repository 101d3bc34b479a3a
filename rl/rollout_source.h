// The rollouts of one RL step: fresh problems, generated, priced for length, and replaced where a group teaches
// nothing.
#pragma once

#include <deque>
#include <vector>

#include "rl/advantage.h"
#include "rl/compression_controller.h"
#include "rl/ledger.h"
#include "rl/reward/length_penalty.h"
#include "rl/rollout_supply.h"

namespace terse::rl {

struct RolloutBatch {
  std::vector<RolloutGroup> groups;   // rl.prompts of them, rewards and advantages set
  std::vector<RolloutGroup> sampled;  // every group taken for this step, the replaced ones included, rewards set
  AdvantageStats advantage;
  int64_t version = 0;  // of the weights that the update starts from
  int64_t stale = 0;    // groups that were too old, and are generated anew for a later step
};

class RolloutSource {
 public:
  // References must outlive the source. `controller` limits lengths when rl.penalty.kind is adaptive.
  RolloutSource(const configs::RunConfig& config, const Task& task, RolloutSupply& supply,
                const CompressionController& controller);

  // For the update that starts from weights `version`. Beside what it needs it orders rl.max_staleness batches ahead,
  // so that generation goes on during the update; no token of the batch is older than so many versions.
  RolloutBatch next(int64_t version);

  const Ledger& ledger() const { return ledger_; }
  // What was outstanding is ordered again, before anything else.
  void restore(const nlohmann::json& state);

 private:
  std::vector<RolloutGroup> take(int64_t count, RolloutBatch& batch);
  void order_ahead(int64_t needed);
  void price(RolloutGroup& group) const;

  const configs::Rl& config_;
  const Task& task_;
  RolloutSupply& supply_;
  const CompressionController& controller_;
  LengthPenalty penalty_;
  Ledger ledger_;
  std::vector<Problem> again_;      // outstanding in the run that this one goes on from
  std::deque<RolloutGroup> ready_;  // generated, not yet taken
};

}  // namespace terse::rl
