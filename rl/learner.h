// The RL stage: roll out, price, update, repeat.
#pragma once

#include "rl/env/task.h"
#include "trainer/session.h"

namespace terse::rl {

// Runs the stage `rl` from where it was interrupted, or from the start. Returns its progress.
trainer::StageProgress learn(trainer::Session& session, const Task& task);

}  // namespace terse::rl
