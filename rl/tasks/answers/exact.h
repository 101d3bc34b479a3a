// Answers that are a given text, or match a given pattern.
//
// Two texts are equal when they are the same after this normalisation: decoration (final_answer.h) goes, ASCII letters
// become lower case, and every run of space becomes one space. Nothing else is changed; in particular, "é" in one code
// point and in two are different.
#pragma once

#include <string>

#include "rl/tasks/answers/answer_check.h"

namespace terse::rl {

std::string normalised_text(std::string_view text);

std::string problem_of_exact(const AnswerReference& reference);
AnswerOutcome check_exact(const AnswerReference& reference, std::string_view answer);

}  // namespace terse::rl
