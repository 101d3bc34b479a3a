// Compares normalised texts byte by byte.
#include "rl/tasks/answers/exact.h"

#include "rl/tasks/answers/final_answer.h"

namespace terse::rl {

namespace {

struct ReadText {
  AnswerOutcome problem = AnswerOutcome::kRight;
  std::string value;
};

ReadText read_text(std::string_view text) {
  return {.value = normalised_text(text)};
}

AnswerOutcome compare(const std::string& reference, const std::string& answer) {
  return reference == answer ? AnswerOutcome::kRight : AnswerOutcome::kOtherValue;
}

}  // namespace

std::string normalised_text(std::string_view text) {
  std::string out;
  for (const char c : lower_case(undecorated(text))) {
    const bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (is_space && out.ends_with(' ')) continue;
    out += is_space ? ' ' : c;
  }
  return out;
}

std::string problem_of_exact(const AnswerReference& reference) {
  if (normalised_text(reference.answer).empty()) return "it is empty";
  return has_hidden_text(reference.answer) ? "it has characters that a reader does not see" : "";
}

AnswerOutcome check_exact(const AnswerReference& reference, std::string_view answer) {
  if (!problem_of_exact(reference).empty()) return AnswerOutcome::kUndecided;
  return judge_answers(answer, normalised_text(reference.answer), read_text, compare);
}

}  // namespace terse::rl
