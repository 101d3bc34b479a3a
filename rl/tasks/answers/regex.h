// Answers that match a pattern of PCRE2 from beginning to end, as UTF-8. A pattern is data, so it is bounded: its
// length, its nesting, and the steps and the memory of a match. An answer on which the match reaches a limit is
// undecided.
#pragma once

#include <string>

#include "rl/tasks/answers/answer_check.h"

namespace terse::rl {

std::string problem_of_regex(const AnswerReference& reference);
AnswerOutcome check_regex(const AnswerReference& reference, std::string_view answer);

}  // namespace terse::rl
