// Supervised fine-tuning: the supervised loop over conversations, or over problems of a task with their traces.
#pragma once

#include "data/conversations/conversations.h"
#include "launch/run/stages/validation.h"
#include "rl/tasks/tokenized_task.h"

namespace terse::launch {

// Runs the stage `sft` from its start, or from where it was interrupted. It learns from `conversations`, or else from
// the demonstrations of `task`; one of them is not null. Where there are held-out conversations, it measures their
// loss; where there is a task, it evaluates. Throws trainer::SavedAndStopped once a requested stop is on disk.
StageResult fine_tune(trainer::Session& session, const rl::TokenizedTask* task,
                      const data::Conversations* conversations);

}  // namespace terse::launch
