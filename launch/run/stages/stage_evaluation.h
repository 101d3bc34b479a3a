// The full evaluation that follows every stage of a run with a task.
#pragma once

#include "rl/eval/evaluation.h"
#include "trainer/session.h"

namespace terse::launch {

// Runs the evaluation, and writes its metrics and traces. The stage's last step is on disk already, so a run that is
// stopped here repeats the evaluation. Throws trainer::SavedAndStopped after a requested stop.
rl::Evaluation evaluate_stage(trainer::Session& session, const rl::TokenizedTask& task,
                              const trainer::StageProgress& progress);

}  // namespace terse::launch
