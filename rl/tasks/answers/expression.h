// Answers that are a formula. Two formulas are equal when they have the same value at several points: fixed values of
// their variables, whole, fractional and negative.
//
// A formula has + - * / ^ (or **), brackets, decimal numbers, sqrt, pi and variables of one letter. 2x, 2(x+1) and xy
// are products; a word is a product only where all its letters are variables of the reference. LaTeX may be used:
// \frac{a}{b}, \sqrt{a}, \cdot, \times, \div, \pi, \left( and \right), x^{2}. The function that a text is given by is
// left out: "y = 2x" is 2x.
//
// Values are exact fractions for as long as they are rational. Roots and pi have 320 bits after the point, and their
// results count as equal when they differ by less than 2^-160, relative to the larger one. An answer that is undefined
// at a point where the reference is defined is wrong, and an answer has no variables beside those of the reference.
//
// Where the reference is a number, only a number is an answer (number.h), because 12*6 is a question and no answer.
// Where the reference is a formula, every formula of the same value is right; so this kind does not suit a question
// that states such a formula, as "simplify 2x + 3x" does.
//
// Length, nesting and the size of numbers are bounded, and nothing in a text is executed.
#pragma once

#include <string>

#include "rl/tasks/answers/answer_check.h"

namespace terse::rl {

std::string problem_of_expression(const AnswerReference& reference);
AnswerOutcome check_expression(const AnswerReference& reference, std::string_view answer);

}  // namespace terse::rl
