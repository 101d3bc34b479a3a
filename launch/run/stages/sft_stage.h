// Supervised fine-tuning: the supervised loop over problems with their traces, with small evaluations.
#pragma once

#include "rl/tasks/tokenized_task.h"
#include "trainer/session.h"

namespace terse::launch {

// Runs the stage `sft` from its start, or from where it was interrupted. Returns its progress. Throws
// trainer::SavedAndStopped once a requested stop is on disk.
trainer::StageProgress fine_tune(trainer::Session& session, const rl::TokenizedTask& task);

}  // namespace terse::launch
