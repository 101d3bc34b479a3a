// gsm8k: grade-school word problems from JSON Lines files with `question` and `answer`, as published by Cobbe et al.
// 2021 (arXiv 2110.14168). The reference answer is the number after the last "####" of `answer`.
//
// Prompt:     the question; without a chat template, a line break follows
// Solution:   `answer` without its calculator marks, such as <<48/2=24>>; one form, "solution"
// Difficulty: the number of calculator marks, which is the number of steps of the reference solution
//
// A response is correct iff it has ended and its final answer is a number equal to the reference: "#### 72", "The
// answer is $72.", "\boxed{72}" or "72". rl/tasks/answers/final_answer.h and number.h say what is accepted.
#pragma once

#include "rl/tasks/task.h"

namespace terse::rl {

// Uses task.path and task.eval_path. Without eval_path, about 1 of 20 questions of `path` is held out for evaluation,
// chosen by a hash of its text. Throws ConfigError when task.path is empty, DiskError when a file cannot be read, and
// DataError that names file and line for a line that is no such object, has no "####" number, or when a split is empty.
std::unique_ptr<Task> make_gsm8k(const configs::Task& config, int64_t seed);

}  // namespace terse::rl
