// chain7: arithmetic chains modulo 7, small enough to learn on a CPU in a minute and rich enough to compress.
//
// Problem: x0 in 0..6 and k operations, each +a (a in 0..6) or *a (a in 1..6), drawn as a fair coin and then a uniform
// operand; the state becomes (state op a) mod 7 and the answer is the last state. k is uniform in k_min..k_max;
// difficulty = k.
//
// Prompt:   <bos> x0 op a op a ... =      with align, filled with ; before the = as if it had align_to operations
// Response: thinking </think> answer <eos>
// Thinking, from verbose to direct, with all tokens of the response for k operations:
//   recheck  each step "s op a > s' ;", then ?, then all steps again   12k + 4
//   verbose  each step "s op a > s' ;"                                  6k + 3
//   compact  each step "op a s'"                                        3k + 3
//   states   each step "s'"                                              k + 3
//   direct   nothing                                                         3
//
// A response is correct iff its last three tokens are </think>, the answer and <eos>, and no <eos> stands before. Its
// form is the taught form whose thinking it equals token by token; "skip", which is never taught, when its thinking is
// 1 to k-1 of the k states in their order (any subsequence, prefixes included) and nothing else; and "other" otherwise.
// The form depends on the thinking alone, not on the answer. A response without a proper end has the form "other".
//
// Training and evaluation draw from separate random streams. Each problem belongs to only one of them, whatever the
// seed and the config: a hash of its text assigns about 1 of 8 problems to evaluation. Of the 91 problems with 1
// operation these are 13; of the 1,183 with 2 operations, 149.
#pragma once

#include "rl/tasks/task.h"

namespace terse::rl {

// Declares task.k_min, k_max, align and align_to, and the forms above.
TaskDeclaration declare_chain7();

// Uses these options and task.forms. Throws std::invalid_argument when they are out of range, or forms names an unknown
// form, has a negative share or none above 0.
std::unique_ptr<Task> make_chain7(const configs::Task& config, int64_t seed);

}  // namespace terse::rl
