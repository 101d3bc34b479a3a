// Answers that choose one of several options, named A, B, C, ...
//
// The letter may stand alone or in brackets, with a full stop, a colon or a bracket behind it, and with the text of its
// option: "B", "(B)", "B.", "B: Paris". The text alone is an answer, too. A letter with the text of another option is
// two answers.
#pragma once

#include <string>

#include "rl/tasks/answers/answer_check.h"

namespace terse::rl {

std::string problem_of_choice(const AnswerReference& reference);
AnswerOutcome check_choice(const AnswerReference& reference, std::string_view answer);

}  // namespace terse::rl
