// The RL stage: roll out, price, update, repeat.
#pragma once

#include "rl/rollout_supply.h"

namespace terse::rl {

// Runs the stage `rl` from where it was interrupted, or from the start. Returns its progress. Groups come from
// `supply`, or where it is null from an engine here.
trainer::StageProgress learn(trainer::Session& session, const Task& task, RolloutSupply* supply);

}  // namespace terse::rl
