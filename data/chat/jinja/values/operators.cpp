// Integers are 64 bits wide. A result that needs more is an error, where Python would go on.
#include "data/chat/jinja/values/operators.h"

#include <fmt/format.h>

#include <cmath>

#include "data/chat/jinja/values/text_operations.h"

namespace terse::data::jinja {

namespace {

[[noreturn]] void wrong_types(Context& context, std::string_view sign, const Value& left, const Value& right) {
  context.fail(fmt::format("'{}' does not work for a {} and a {}", sign, type_name(left), type_name(right)));
}

int64_t whole_power(Context& context, int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    context.spend();
    const bool odd = (exponent & 1) != 0;
    if (odd && __builtin_mul_overflow(result, base, &result)) context.fail("the result of '**' is too large");
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) context.fail("the result of '**' is too large");
  }
  return result;
}

Value whole_arithmetic(Context& context, std::string_view sign, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  if (sign == "+") {
    overflow = __builtin_add_overflow(left, right, &result);
  } else if (sign == "-") {
    overflow = __builtin_sub_overflow(left, right, &result);
  } else if (sign == "*") {
    overflow = __builtin_mul_overflow(left, right, &result);
  } else if (sign == "**") {
    if (right < 0) return Value(std::pow(static_cast<double>(left), static_cast<double>(right)));
    result = whole_power(context, left, right);
  } else {
    if (right == 0) context.fail("division by zero");
    if (sign == "/") return Value(static_cast<double>(left) / static_cast<double>(right));
    overflow = left == INT64_MIN && right == -1;
    if (!overflow) {
      // Python rounds down, and its remainder has the sign of the divisor.
      const bool adjust = left % right != 0 && (left < 0) != (right < 0);
      result = sign == "//" ? left / right - (adjust ? 1 : 0) : left % right + (adjust ? right : 0);
    }
  }
  if (overflow) context.fail(fmt::format("the result of '{}' is too large", sign));
  return Value(result);
}

Value real_arithmetic(Context& context, std::string_view sign, double left, double right) {
  if (sign == "+") return Value(left + right);
  if (sign == "-") return Value(left - right);
  if (sign == "*") return Value(left * right);
  if (sign == "**") return Value(std::pow(left, right));
  if (right == 0) context.fail("division by zero");
  if (sign == "/") return Value(left / right);
  const double remainder = std::fmod(left, right);
  const bool adjust = remainder != 0 && (remainder < 0) != (right < 0);
  if (sign == "%") return Value(adjust ? remainder + right : remainder);
  return Value(std::floor((left - (adjust ? remainder + right : remainder)) / right + 0.5));
}

Text text_sum(Context& context, const Text& left, const Text& right) {
  context.spend(weight(left) + weight(right));
  const bool is_markup = left.is_markup() || right.is_markup();
  Text sum = is_markup && !left.is_markup() ? html_escaped(context, left) : left;
  sum.append(is_markup && !right.is_markup() ? html_escaped(context, right) : right);
  if (is_markup) sum.set_markup();
  return sum;
}

Value repeated_list(Context& context, const List& list, int64_t times) {
  std::vector<Value> items;
  for (int64_t i = 0; i < times && !list.items.empty(); ++i) {
    context.spend(list.items.size() * sizeof(Value));
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return make_list(context, std::move(items), list.kind);
}

}  // namespace

Value arithmetic(Context& context, std::string_view sign, const Value& left, const Value& right) {
  context.spend();
  const auto a = whole_number(left), b = whole_number(right);
  if (a && b) return whole_arithmetic(context, sign, *a, *b);
  if (const auto x = number(left), y = number(right); x && y) return real_arithmetic(context, sign, *x, *y);
  if (sign == "+" && left.text() != nullptr && right.text() != nullptr) {
    return Value(text_sum(context, *left.text(), *right.text()));
  }
  const bool lists = left.list() != nullptr && right.list() != nullptr && left.list()->has_indices();
  if (sign == "+" && lists && left.list()->kind == right.list()->kind) {
    std::vector<Value> items = left.list()->items;
    items.insert(items.end(), right.list()->items.begin(), right.list()->items.end());
    return make_list(context, std::move(items), left.list()->kind);
  }
  if (sign == "*" && (a || b)) {
    const Value& many = a ? right : left;
    const int64_t times = a ? *a : *b;
    if (many.text() != nullptr) return Value(repeated(context, *many.text(), times));
    if (many.list() != nullptr && many.list()->has_indices()) return repeated_list(context, *many.list(), times);
  }
  if (sign == "%" && left.text() != nullptr) context.refuse("formatting text with '%'");
  wrong_types(context, sign, left, right);
}

Value negative(Context& context, const Value& value) {
  if (const auto whole = whole_number(value)) return whole_arithmetic(context, "-", 0, *whole);
  if (const double* real = value.real()) return Value(-*real);
  context.fail(fmt::format("a {} has no negative", type_name(value)));
}

bool compare(Context& context, std::string_view sign, const Value& left, const Value& right) {
  if (sign == "==") return equal(context, left, right);
  if (sign == "!=") return !equal(context, left, right);
  if (sign == "in") return contains(context, right, left);
  if (sign == "not in") return !contains(context, right, left);
  if (sign == "<") return less(context, left, right);
  if (sign == ">") return less(context, right, left);
  if (sign == "<=") return !less(context, right, left);
  return !less(context, left, right);
}

}  // namespace terse::data::jinja
