// Reads a formula into a program for a stack machine, and evaluates it. rl/tasks/answers/expression.h describes the
// notation.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rl/tasks/answers/rational.h"

namespace terse::rl {

class Formula {
 public:
  struct Value {
    Rational number;
    bool exact = true;  // false: rounded to Rational::kPrecision bits
  };

  // Words are products of these variables; empty `variables`: of any letters. Empty: the text is no formula, or exceeds
  // a limit.
  static std::optional<Formula> read(std::string_view text, const std::optional<std::string>& variables);

  std::string variables() const;  // each once, ascending
  // `values` has a value for each variable. Empty: undefined at this point (a division by 0, the root of a negative
  // number), or beyond a limit.
  std::optional<Value> evaluate(const std::map<char, Rational>& values) const;

 private:
  friend class FormulaReader;
  enum class Kind { kNumber, kVariable, kPi, kNegate, kRoot, kAdd, kSubtract, kMultiply, kDivide, kPower };
  struct Step {
    Kind kind;
    Rational number = 0;  // kNumber
    char variable = 0;    // kVariable
  };
  static std::optional<Value> combine(Kind kind, const Value& left, const Value& right);

  std::vector<Step> steps_;
};

// Whether two values are equal, exactly or within the rounding of inexact ones.
bool are_equal(const Formula::Value& a, const Formula::Value& b);

}  // namespace terse::rl
