// The RL stage: generates rollouts, shapes their rewards by length, updates the policy, and repeats.
#pragma once

#include "rl/rollout/rollout_supply.h"

namespace terse::rl {

// Runs the stage `rl` from its start, or from where it was interrupted. Returns its progress. Groups come from
// `supply`; null: from an engine on this rank. Throws trainer::SavedAndStopped once a requested stop is on disk.
trainer::StageProgress learn(trainer::Session& session, const TokenizedTask& task, RolloutSupply* supply);

}  // namespace terse::rl
