// jsonl: problems of any kind with a reference answer, from JSON Lines files. A line is an object with these keys:
//
// prompt      a text, which is one message of the user
// messages    in place of `prompt`: a list of {"role": ..., "content": ...}; the last message is the user's
// answer      the reference answer, a text or a number
// difficulty  optional: a whole number from 0 on
// solution    optional: a response to learn from
//
// Other keys are left alone, unless they look like a misspelt one of these. The text of a prompt stays as it is.
//
// A response is correct iff it has ended and its final answer agrees with the reference, as task.answer says:
// rl/tasks/answers/answer_check.h lists the kinds.
//
// Solution:   `solution`, where every line of task.path has one; one form, "solution"
// Difficulty: `difficulty`
#pragma once

#include "rl/tasks/task.h"

namespace terse::rl {

// Declares task.answer.
TaskDeclaration declare_jsonl();

// Uses task.path, task.eval_path and task.answer. Without eval_path, about 1 of 20 problems of `path` is held out for
// evaluation, chosen by a hash of its prompt. Throws ConfigError when task.path is empty, DiskError when a file cannot
// be read, and DataError that names file, line and key for a line that cannot be used, when a prompt of eval_path is
// also in `path`, or when a split is empty.
std::unique_ptr<Task> make_jsonl(const configs::Task& config, int64_t seed);

}  // namespace terse::rl
