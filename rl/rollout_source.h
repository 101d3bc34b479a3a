// Collects the rollouts of one RL step. It orders groups of new problems, shapes their rewards by length, and replaces
// the groups that teach nothing.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "rl/compression/compression_controller.h"
#include "rl/compression/length_penalty.h"
#include "rl/ledger.h"
#include "rl/rollout/rollout_supply.h"
#include "rl/update/advantage.h"

namespace terse::rl {

struct RolloutBatch {
  std::vector<RolloutGroup> groups;   // rl.prompts of them, rewards and advantages set
  std::vector<RolloutGroup> sampled;  // every group taken for this step, the replaced ones included, rewards set
  AdvantageStats advantage;
  int64_t version = 0;  // of the weights that the update starts from
  int64_t stale = 0;    // groups that were too old and have been ordered again
};

class RolloutSource {
 public:
  // The references must outlive the source. `controller` sets the length limits when rl.penalty.kind is adaptive.
  RolloutSource(const configs::RunConfig& config, const TokenizedTask& task, RolloutSupply& supply,
                const CompressionController& controller);

  // Returns the batch for the update that starts from weights `version`. Orders rl.max_staleness further batches ahead,
  // so that generation continues during the update. No token of the batch is more than rl.max_staleness versions old.
  // Throws trainer::StopRequested when a stop was requested.
  RolloutBatch next(int64_t version);

  const Ledger& ledger() const { return ledger_; }
  // Restores the ledger. The next call of next() first orders the outstanding problems again.
  void restore(const nlohmann::json& state);

 private:
  std::optional<RolloutGroup> take(RolloutBatch& batch);
  void order_ahead(int64_t needed);
  void price(RolloutGroup& group) const;

  const configs::Rl& config_;
  const TokenizedTask& task_;
  RolloutSupply& supply_;
  const CompressionController& controller_;
  LengthPenalty penalty_;
  Ledger ledger_;
  std::vector<Problem> again_;      // problems that were outstanding in the checkpoint
  std::deque<RolloutGroup> ready_;  // generated, not yet taken
};

}  // namespace terse::rl
