// A recursive-descent reader with a limit on its depth writes steps in postfix order. Evaluation does not recurse.
//
//   sum     = product {("+" | "-") product}
//   product = signed {["*" | "/"] signed}         without a sign between them: not before a number
//   signed  = {"+" | "-"} power
//   power   = atom ["^" signed]
//   atom    = number | variable | pi | sqrt atom | frac atom atom | "(" sum ")"
#include "rl/tasks/answers/formula.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "rl/tasks/answers/spelling.h"

namespace terse::rl {

namespace {

constexpr size_t kMaxText = 1000;    // bytes
constexpr size_t kMaxSteps = 200;    // numbers and operations
constexpr int kMaxDepth = 50;        // brackets, exponents and signs inside each other
constexpr size_t kMaxDigits = 100;   // of a number
constexpr int64_t kMaxPower = 1000;  // in magnitude
constexpr int kSameBits = 160;       // inexact values are equal when they agree to this many bits
constexpr int kZeroBits = 200;       // an inexact value below 2^-kZeroBits may be 0

// 2^-bits.
Rational tiny(int bits) {
  return *Rational(2).to_the(-bits);
}

// pi, rounded down to Rational::kPrecision bits: 100 decimals have 332.
const Rational& pi() {
  static const Rational value =
      Rational::from_digits(
          "31415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679", -100)
          ->rounded();
  return value;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// LaTeX and other spellings that mean the same. The long ones come before their beginnings.
std::string in_one_spelling(std::string_view text) {
  constexpr Spelling kSpellings[] = {
      {"\\dfrac", "\\frac"}, {"\\tfrac", "\\frac"}, {"\\cdot", "*"}, {"\\times", "*"}, {"\\div", "/"},
      {"\\left", ""},        {"\\right", ""},       {"\\,", " "},    {"\\!", ""},      {"\\;", " "},
      {"\\ ", " "},          {"\u2212", "-"},       {"×", "*"},      {"÷", "/"},       {"·", "*"},
      {"π", "\\pi "},        {"√", "\\sqrt "},      {"**", "^"}};
  return respelled(text, kSpellings);
}

}  // namespace

class FormulaReader {
 public:
  FormulaReader(std::string text, const std::optional<std::string>& variables)
      : text_(std::move(text)), rest_(text_), variables_(variables) {}

  std::optional<Formula> read() {
    if (!sum(0)) return {};
    skip_space();
    if (!rest_.empty() || formula_.steps_.size() > kMaxSteps) return {};
    return std::move(formula_);
  }

 private:
  using Kind = Formula::Kind;

  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  bool take(std::string_view start) {
    skip_space();
    if (!rest_.starts_with(start)) return false;
    rest_.remove_prefix(start.size());
    return true;
  }
  // Takes a command of LaTeX, or its name as a word.
  bool take_word(std::string_view word) {
    skip_space();
    std::string_view after = rest_;
    if (after.starts_with('\\')) after.remove_prefix(1);
    if (!after.starts_with(word) || (after.size() > word.size() && is_letter(after[word.size()]))) return false;
    rest_ = after.substr(word.size());
    return true;
  }
  bool emit(Formula::Step step) {
    formula_.steps_.push_back(std::move(step));
    return formula_.steps_.size() <= kMaxSteps;
  }

  bool sum(int depth) {
    if (depth > kMaxDepth || !product(depth)) return false;
    for (;;) {
      const bool plus = take("+");
      if (!plus && !take("-")) return true;
      if (!product(depth) || !emit({plus ? Kind::kAdd : Kind::kSubtract})) return false;
    }
  }

  bool product(int depth) {
    skip_space();
    bool after_number = !rest_.empty() && (is_digit(rest_[0]) || rest_[0] == '.');
    if (!signed_power(depth)) return false;
    for (;;) {
      const bool times = take("*"), over = !times && take("/");
      skip_space();
      if (!times && !over) {
        // "2 3" and "1 \frac{1}{2}" would be a list and a mixed number.
        const bool begins = !rest_.empty() && (is_letter(rest_[0]) || rest_[0] == '(' || rest_[0] == '\\');
        if (!begins || (after_number && rest_.starts_with("\\frac"))) return true;
      }
      after_number = !rest_.empty() && (is_digit(rest_[0]) || rest_[0] == '.');
      if (!signed_power(depth) || !emit({over ? Kind::kDivide : Kind::kMultiply})) return false;
    }
  }

  bool signed_power(int depth) {
    bool negative = false;
    for (int signs = 0;; ++signs) {
      if (depth + signs > kMaxDepth) return false;
      if (take("-"))
        negative = !negative;
      else if (!take("+"))
        break;
    }
    if (!atom(depth)) return false;
    if (take("^")) {
      if (depth + 1 > kMaxDepth || !signed_power(depth + 1) || !emit({Kind::kPower})) return false;
    }
    return !negative || emit({Kind::kNegate});
  }

  bool atom(int depth) {
    if (depth > kMaxDepth) return false;
    if (take("(")) return sum(depth + 1) && take(")");
    if (take("{")) return sum(depth + 1) && take("}");
    if (take_word("sqrt")) return atom(depth + 1) && emit({Kind::kRoot});
    if (take_word("frac")) return digit_or_atom(depth + 1) && digit_or_atom(depth + 1) && emit({Kind::kDivide});
    if (take_word("pi")) return emit({Kind::kPi});
    skip_space();
    if (rest_.empty()) return false;
    return is_letter(rest_[0]) ? variable() : number(kMaxDigits);
  }
  // \frac12 is one half.
  bool digit_or_atom(int depth) {
    skip_space();
    return !rest_.empty() && is_digit(rest_[0]) ? number(1) : atom(depth);
  }

  // A letter; in a word, the first one.
  bool variable() {
    const std::string_view word =
        rest_.substr(0, static_cast<size_t>(std::find_if_not(rest_.begin(), rest_.end(), is_letter) - rest_.begin()));
    const bool known = !variables_ || word.find_first_not_of(*variables_) == std::string_view::npos;
    if (!known || (!variables_ && word.size() > 3)) return false;
    const char name = rest_[0];
    rest_.remove_prefix(1);
    return emit({.kind = Kind::kVariable, .variable = name});
  }

  bool number(size_t most_digits) {
    const auto run = [&] {
      const size_t end = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
      const std::string_view digits = rest_.substr(0, std::min(end, most_digits + 1));
      rest_.remove_prefix(digits.size());
      return std::string(digits);
    };
    if (most_digits == 1) {
      const std::string digit(1, rest_[0]);
      rest_.remove_prefix(1);
      return emit({.kind = Kind::kNumber, .number = *Rational::from_digits(digit, 0)});
    }
    const std::string whole = run();
    const std::string fraction = take(".") ? run() : "";
    if (whole.size() + fraction.size() > most_digits) return false;
    const auto value = Rational::from_digits(whole + fraction, -std::ssize(fraction));
    return value && emit({.kind = Kind::kNumber, .number = *value});
  }

  std::string text_;
  std::string_view rest_;
  std::optional<std::string> variables_;
  Formula formula_;
};

std::optional<Formula> Formula::read(std::string_view text, const std::optional<std::string>& variables) {
  if (text.size() > kMaxText) return {};
  return FormulaReader(in_one_spelling(text), variables).read();
}

std::string Formula::variables() const {
  std::set<char> names;
  for (const Step& step : steps_) {
    if (step.kind == Kind::kVariable) names.insert(step.variable);
  }
  return {names.begin(), names.end()};
}

std::optional<Formula::Value> Formula::combine(Kind kind, const Value& left, const Value& right) {
  const bool exact = left.exact && right.exact;
  std::optional<Rational> result;
  switch (kind) {
    case Kind::kAdd:
      result = left.number.plus(right.number);
      break;
    case Kind::kSubtract:
      result = left.number.minus(right.number);
      break;
    case Kind::kMultiply:
      result = left.number.times(right.number);
      break;
    case Kind::kDivide:
      if (!right.exact && right.number.magnitude().compare(tiny(kZeroBits)) < 0) return {};
      result = left.number.over(right.number);
      break;
    case Kind::kPower: {
      // A power of one half is a root; other fractions are not supported.
      const auto twice = right.exact ? right.number.times(2) : std::nullopt;
      const auto halves = twice ? twice->whole() : std::nullopt;
      if (!halves || *halves > 2 * kMaxPower || *halves < -2 * kMaxPower) return {};
      if (*halves % 2 == 0) {
        result = left.number.to_the(*halves / 2);
        break;
      }
      const auto root = left.number.square_root();
      const auto power = root ? root->value.to_the(*halves) : std::nullopt;
      if (!power) return {};
      const bool is_exact = exact && root->exact;
      return Value{is_exact ? *power : power->rounded(), is_exact};
    }
    default:
      return {};
  }
  if (!result) return {};
  return Value{exact ? *result : result->rounded(), exact};
}

std::optional<Formula::Value> Formula::evaluate(const std::map<char, Rational>& values) const {
  std::vector<Value> stack;
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Kind::kNumber:
        stack.push_back({step.number});
        break;
      case Kind::kVariable:
        stack.push_back({values.at(step.variable)});
        break;
      case Kind::kPi:
        stack.push_back({pi(), false});
        break;
      case Kind::kNegate:
        stack.back().number = stack.back().number.negated();
        break;
      case Kind::kRoot: {
        const auto root = stack.back().number.square_root();
        if (!root) return {};
        stack.back() = {root->value, stack.back().exact && root->exact};
        break;
      }
      default: {
        const Value right = stack.back();
        stack.pop_back();
        const auto result = combine(step.kind, stack.back(), right);
        if (!result) return {};
        stack.back() = *result;
      }
    }
  }
  return stack.back();
}

bool are_equal(const Formula::Value& a, const Formula::Value& b) {
  if (a.exact && b.exact) return a.number == b.number;
  const auto difference = a.number.minus(b.number);
  Rational scale = 1;
  for (const Formula::Value& value : {a, b}) {
    if (value.number.magnitude().compare(scale) > 0) scale = value.number.magnitude();
  }
  const auto allowed = scale.times(tiny(kSameBits));
  return difference && allowed && difference->magnitude().compare(*allowed) <= 0;
}

}  // namespace terse::rl
