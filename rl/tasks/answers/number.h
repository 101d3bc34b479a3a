// Answers that are a number. Numbers are compared exactly, as fractions of whole numbers.
//
// A number is written as
//
// - digits with an optional sign, thousands commas in groups of three, and a decimal point: 72, -1,000, .5, 72.
// - the same with a power of ten: 7.2e1, 7.2 x 10^1, 7.2 \times 10^{1}
// - a fraction of whole numbers: 3/4, -3/4, \frac{3}{4}
// - a mixed number, whose fraction is below 1: 1 3/4
//
// A fraction whose value is whole, such as 144/2, is a calculation that has not been carried out, and no number.
//
// A currency sign ($, €, £, ¥) may stand before the number, and a unit or a percent sign after it: "72 apples", "72
// km/h", "72 %". A unit has at most four words. Words that would change the value or take it back (hundred, not, or,
// about, ...) are no unit. Where reference and answer both have a unit, it must be the same; nothing is converted.
//
// A percent sign is a unit, too. So "50%" answers the references 50 and 50%; because it is also the number 1/2, it
// answers the reference 0.5, and 0.5 answers 50%.
#pragma once

#include <string>

#include "rl/tasks/answers/answer_check.h"
#include "rl/tasks/answers/rational.h"

namespace terse::rl {

struct Number {
  Rational value = 0;
  std::string unit = {};  // in one spelling; empty: none. "percent": the value is in percent
};

struct ReadNumber {
  AnswerOutcome problem = AnswerOutcome::kRight;
  Number value = {};
};

// Reads a whole text, without decoration (final_answer.h), as one number.
ReadNumber read_number(std::string_view text);

std::string problem_of_number(const AnswerReference& reference);
AnswerOutcome check_number(const AnswerReference& reference, std::string_view answer);

}  // namespace terse::rl
