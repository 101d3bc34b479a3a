// mixture: several tasks in one, each with a share of the training problems.
//
// Of any 1000 consecutive problems of an index space, each task gives as many as its weight says, rounded to whole
// problems by the method of the largest remainder (Hamilton). A permutation, which depends on the seed and the space,
// decides which of the 1000 places a task has; it is the same for all thousands, so that every window of 1000 has the
// shares. The k-th problem that a task gives is its own k-th problem of this space: a finite task goes through its
// epochs, and an endless one through its problems, as if it were alone. A mixture of one task is that task.
//
// An evaluation takes the evaluation items of every task, as an evaluation of this task alone would. The items of task
// p of P have the indices p, P + p, 2 P + p, ... of the evaluation split.
//
// The demonstrations are those of the tasks that have any. An item has the forms of its own task only.
#pragma once

#include "rl/tasks/task.h"

namespace terse::rl {

// The length of the windows in which the shares hold.
inline constexpr int64_t kMixturePeriod = 1000;

// The number of problems of a window that each of several tasks gives, by their weights, which are above 0. Of equal
// remainders, the first ones get a problem.
std::vector<int64_t> mixture_quotas(const std::vector<double>& weights);

// Makes the tasks of task.mixture. Throws what their makers throw, with the name of the part before it; ConfigError
// when a weight gives a task none of the 1000 problems, or when tasks cannot share a tokenizer; and DataError when a
// task trains on a problem that another one evaluates on. Tasks without an end cannot be checked for that.
std::unique_ptr<Task> make_mixture(const configs::Task& config, int64_t seed);

}  // namespace terse::rl
