// Checks whether an answer agrees with a reference, by kind:
//
// number      an exact rational number, with or without a unit (rl/tasks/answers/number.h)
// choice      one option of several, by its letter or its text
// exact       the same text after normalisation
// regex       a text that a pattern matches as a whole (PCRE2)
// expression  a formula with the same value (rl/tasks/answers/expression.h)
//
// A check sees the answer alone. Where the thinking ends is the business of rl/tasks/response_format.h. Whatever an
// answer contains, a check ends in one of the outcomes, in time and memory proportional to the text.
//
// The checks are strict, because RL finds every gap. An answer must commit to one value: a list, a range, a hedge or a
// second final answer with another value is wrong, even where the right value is among them. Where an answer has
// several final answers that agree, it is judged by their value. rl/tasks/answers/final_answer.h says what a final
// answer is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace terse::rl {

enum class AnswerOutcome {
  kRight,
  kNoAnswer,        // there is no final answer
  kSeveralAnswers,  // it does not commit to one value
  kUnreadable,      // the final answer is not of the kind, or more than it stands there
  kHiddenText,      // it contains invisible characters, control characters or bytes that are no text
  kTooLong,         // it is longer than any honest answer
  kOtherUnit,
  kOtherValue,
  kUndecided,  // the check reached a limit or cannot use its reference: nothing is known about the answer
};

// "right", "no answer", ...: for messages and the names of metrics.
const char* name_of(AnswerOutcome outcome);

struct AnswerReference {
  std::string answer;                     // number, text, letter or text of an option, pattern, or formula
  std::vector<std::string> options = {};  // choice: the texts of options A, B, ...; may be empty: letters only
};

struct AnswerKind {
  std::string_view name;
  // Returns what is wrong with a reference, ready for a message; empty: it can be used. Whatever reads references calls
  // it once for each.
  std::string (*problem)(const AnswerReference& reference);
  AnswerOutcome (*check)(const AnswerReference& reference, std::string_view answer);
};

// All kinds, in the order of the list above.
const std::vector<AnswerKind>& answer_kinds();
// Throws std::invalid_argument naming the known kinds.
const AnswerKind& answer_kind(std::string_view name);

}  // namespace terse::rl
