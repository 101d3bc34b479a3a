// Points come from a generator with a fixed seed, so every process judges alike.
#include "rl/tasks/answers/expression.h"

#include <fmt/format.h>

#include <random>

#include "rl/tasks/answers/final_answer.h"
#include "rl/tasks/answers/formula.h"
#include "rl/tasks/answers/number.h"

namespace terse::rl {

namespace {

constexpr int kPoints = 12;
constexpr int kNeeded = 3;  // points at which the reference must be defined

// The values of the variables at the points: a third of the points are whole numbers, a third fractions above 0, a
// third fractions and whole numbers below 0.
std::vector<std::map<char, Rational>> points_of(const std::string& variables) {
  std::vector<std::map<char, Rational>> points;
  if (variables.empty()) return {{}};
  std::mt19937 random(20240717);  // NOLINT: fixed, see above
  const auto draw = [&](uint32_t least, uint32_t most) {
    return static_cast<int64_t>(least + random() % (most - least + 1));
  };
  for (int i = 0; i < kPoints; ++i) {
    std::map<char, Rational> point;
    for (const char name : variables) {
      const int64_t top = i % 3 == 0 ? draw(2, 40) : draw(1, 997), bottom = i % 3 == 0 || i % 6 == 2 ? 1 : draw(2, 97);
      point.emplace(name, Rational::fraction(i % 3 == 2 ? -top : top, bottom));
    }
    points.push_back(std::move(point));
  }
  return points;
}

// "y = 2x" without "y =".
std::string_view right_side(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || text.find('=', equals + 1) != std::string_view::npos) return text;
  const std::string_view left = trimmed(text.substr(0, equals));
  const bool is_letter = left.size() == 1 && lower_case(left)[0] >= 'a' && lower_case(left)[0] <= 'z';
  return is_letter ? text.substr(equals + 1) : text;
}

struct ReadFormula {
  AnswerOutcome problem = AnswerOutcome::kRight;
  std::optional<Formula> value = {};
};

ReadFormula read_formula(std::string_view text, const std::optional<std::string>& variables) {
  auto formula = Formula::read(right_side(text), variables);
  if (!formula) return {.problem = AnswerOutcome::kUnreadable};
  return {.value = std::move(formula)};
}

AnswerOutcome compare(const std::optional<Formula>& reference, const std::optional<Formula>& answer) {
  int defined = 0;
  const std::vector<std::map<char, Rational>> points = points_of(reference->variables());
  for (const std::map<char, Rational>& point : points) {
    const auto left = reference->evaluate(point), right = answer->evaluate(point);
    if (left.has_value() != right.has_value()) return AnswerOutcome::kOtherValue;
    if (!left) continue;
    if (!are_equal(*left, *right)) return AnswerOutcome::kOtherValue;
    ++defined;
  }
  return defined >= std::min<int>(kNeeded, static_cast<int>(points.size())) ? AnswerOutcome::kRight
                                                                            : AnswerOutcome::kUndecided;
}

bool is_number(const AnswerReference& reference) {
  return read_number(undecorated(reference.answer)).problem == AnswerOutcome::kRight;
}

}  // namespace

std::string problem_of_expression(const AnswerReference& reference) {
  if (is_number(reference)) return "";
  const ReadFormula formula = read_formula(undecorated(reference.answer), std::nullopt);
  if (formula.problem != AnswerOutcome::kRight) return fmt::format("'{}' is no formula", reference.answer);
  if (compare(formula.value, formula.value) == AnswerOutcome::kRight) return "";
  return fmt::format("'{}' has no value at most points", reference.answer);
}

AnswerOutcome check_expression(const AnswerReference& reference, std::string_view answer) {
  if (is_number(reference)) return check_number(reference, answer);
  const ReadFormula expected = read_formula(undecorated(reference.answer), std::nullopt);
  if (expected.problem != AnswerOutcome::kRight) return AnswerOutcome::kUndecided;
  const std::string variables = expected.value->variables();
  return judge_answers(
      answer, expected.value, [&](std::string_view text) { return read_formula(text, variables); },
      [&](const std::optional<Formula>& left, const std::optional<Formula>& right) {
        // Two answers are compared with the reference and not with each other: the points are those of its variables.
        const AnswerOutcome first = compare(expected.value, left);
        return first == AnswerOutcome::kRight ? compare(expected.value, right) : first;
      });
}

}  // namespace terse::rl
