// The table of kinds.
#include "rl/tasks/answers/answer_check.h"

#include <fmt/format.h>

#include <stdexcept>

#include "rl/tasks/answers/choice.h"
#include "rl/tasks/answers/exact.h"
#include "rl/tasks/answers/expression.h"
#include "rl/tasks/answers/number.h"
#include "rl/tasks/answers/regex.h"

namespace terse::rl {

const char* name_of(AnswerOutcome outcome) {
  switch (outcome) {
    case AnswerOutcome::kRight:
      return "right";
    case AnswerOutcome::kNoAnswer:
      return "no answer";
    case AnswerOutcome::kSeveralAnswers:
      return "several answers";
    case AnswerOutcome::kUnreadable:
      return "unreadable";
    case AnswerOutcome::kHiddenText:
      return "hidden text";
    case AnswerOutcome::kTooLong:
      return "too long";
    case AnswerOutcome::kOtherUnit:
      return "other unit";
    case AnswerOutcome::kOtherValue:
      return "other value";
    case AnswerOutcome::kUndecided:
      return "undecided";
  }
  throw std::logic_error("an unknown outcome of a check");
}

const std::vector<AnswerKind>& answer_kinds() {
  static const std::vector<AnswerKind> kinds = {{"number", problem_of_number, check_number},
                                                {"choice", problem_of_choice, check_choice},
                                                {"exact", problem_of_exact, check_exact},
                                                {"regex", problem_of_regex, check_regex},
                                                {"expression", problem_of_expression, check_expression}};
  return kinds;
}

const AnswerKind& answer_kind(std::string_view name) {
  std::string known;
  for (const AnswerKind& kind : answer_kinds()) {
    if (kind.name == name) return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  throw std::invalid_argument(fmt::format("unknown kind of answer '{}'; known: {}", name, known));
}

}  // namespace terse::rl
