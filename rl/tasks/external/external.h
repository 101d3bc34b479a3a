// external: items and verdicts come from a program of the user, in any language. It talks JSON over its standard input
// and output; docs/external_tasks.md describes the protocol and shows programs in Python and C++.
//
// A pool of such programs serves the items, which are all read when the task is made, and judges the responses
// (process_pool.h). So training depends on the programs for verdicts only. A training item whose prompt is also that of
// an evaluation item is left out.
//
// Solution:   where the program has said that it has demonstrations; one form, "solution"
// Difficulty: of each item, where the program has said so
#pragma once

#include "rl/tasks/task.h"

namespace terse::rl {

TaskDeclaration declare_external();
// Uses task.command, task.workers and task.deadline. Throws ConfigError when task.command is empty, MachineError when
// the program does not work, and DataError naming the item when it serves one that cannot be used.
std::unique_ptr<Task> make_external(const configs::Task& config, int64_t seed);

}  // namespace terse::rl
