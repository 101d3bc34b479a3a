// Evaluates expressions. Every function sets the line of the context again after it has evaluated the parts, so that a
// message names the line of the construct that failed.
#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "data/chat/jinja/interpreter.h"
#include "data/chat/jinja/library/access.h"
#include "data/chat/jinja/library/filters.h"
#include "data/chat/jinja/library/functions.h"
#include "data/chat/jinja/library/methods.h"
#include "data/chat/jinja/library/tests.h"
#include "data/chat/jinja/values/operators.h"
#include "data/chat/jinja/values/python_text.h"
#include "data/chat/jinja/values/text_operations.h"

namespace terse::data::jinja {

namespace {

// Functions of Jinja2 that a chat template has no use for.
bool is_refused_function(std::string_view name) {
  return name == "cycler" || name == "joiner" || name == "lipsum";
}

}  // namespace

Value Interpreter::evaluate(const Expression& expression, Scope& scope) {
  if (expression.kind == ExpressionKind::kConstant) return expression.constant;
  const Nesting nesting(context_);
  context_.line = expression.line;
  context_.spend();
  return evaluate_kind(expression, scope);
}

Value Interpreter::evaluate_kind(const Expression& expression, Scope& scope) {
  switch (expression.kind) {
    case ExpressionKind::kConstant:
      return expression.constant;
    case ExpressionKind::kBody:
      return block_;
    case ExpressionKind::kName:
      return name(expression, scope);
    case ExpressionKind::kSlice:
      return slice(expression, scope);
    case ExpressionKind::kCall:
      return call(expression, scope, nullptr);
    case ExpressionKind::kConcatenate:
      return concatenate(expression, scope);
    case ExpressionKind::kCompare:
      return compare_all(expression, scope);
    case ExpressionKind::kConditional:
      return choose(expression, scope);
    case ExpressionKind::kList:
    case ExpressionKind::kTuple:
    case ExpressionKind::kDict:
      return collection(expression, scope);
    case ExpressionKind::kFilter:
    case ExpressionKind::kTest:
      return filter_or_test(expression, scope);
    case ExpressionKind::kAttribute:
    case ExpressionKind::kNot:
    case ExpressionKind::kNegative:
    case ExpressionKind::kPositive:
      return unary(expression, scope);
    case ExpressionKind::kItem:
    case ExpressionKind::kArithmetic:
      return binary(expression, scope);
    case ExpressionKind::kAnd:
    case ExpressionKind::kOr: {
      Value left = evaluate(*expression.parts[0], scope);
      const bool goes_on = truth(left) == (expression.kind == ExpressionKind::kAnd);
      return goes_on ? evaluate(*expression.parts[1], scope) : left;
    }
  }
  throw std::logic_error("Interpreter: an unknown kind of expression");
}

Value Interpreter::unary(const Expression& expression, Scope& scope) {
  const Value value = evaluate(*expression.parts[0], scope);
  context_.line = expression.line;
  spend_on_name(expression.name);
  if (expression.kind == ExpressionKind::kAttribute) return attribute(context_, value, expression.name);
  if (expression.kind == ExpressionKind::kNot) return Value(!truth(value));
  if (expression.kind == ExpressionKind::kNegative) return negative(context_, value);
  if (!number(value)) context_.fail(fmt::format("'+' does not work for a {}", type_name(value)));
  return value;
}

Value Interpreter::binary(const Expression& expression, Scope& scope) {
  const Value left = evaluate(*expression.parts[0], scope);
  const Value right = evaluate(*expression.parts[1], scope);
  context_.line = expression.line;
  if (expression.kind == ExpressionKind::kItem) return item(context_, left, right);
  return arithmetic(context_, expression.name, left, right);
}

Value Interpreter::filter_or_test(const Expression& expression, Scope& scope) {
  const Value input = evaluate(*expression.parts[0], scope);
  const CallArguments given = arguments(expression, scope);
  context_.line = expression.line;
  if (expression.kind == ExpressionKind::kFilter) return apply_filter(context_, expression.name, input, given);
  return Value(apply_test(context_, expression.name, input, given));
}

Value Interpreter::name(const Expression& expression, const Scope& scope) {
  spend_on_name(expression.name);
  for (const Scope* at = &scope; at != nullptr; at = at->parent) {
    const auto found = at->names.find(expression.name);
    if (found != at->names.end()) return found->second;
  }
  if (is_function(context_, expression.name)) return Value(Function{expression.name});
  if (is_refused_function(expression.name)) context_.refuse(fmt::format("the function '{}'", expression.name));
  const bool needs_date = expression.name == "strftime_now";
  return Value::undefined(fmt::format("'{}' is undefined{}", expression.name,
                                      needs_date ? " because no date has been set for the chat format" : ""));
}

Value Interpreter::slice(const Expression& expression, Scope& scope) {
  const Value object = evaluate(*expression.parts[0], scope);
  std::array<Value, 3> bounds;  // none where a bound is absent
  for (size_t i = 0; i < 3; ++i) {
    if (expression.parts[i + 1] != nullptr) bounds[i] = evaluate(*expression.parts[i + 1], scope);
  }
  context_.line = expression.line;
  if (const Text* text = object.text()) return Value(sliced(context_, *text, bounds[0], bounds[1], bounds[2]));
  const List* list = object.list();
  if (list == nullptr || !list->has_indices()) {
    if (object.is_undefined()) context_.fail(*std::get<Undefined>(object.data()).why);
    context_.fail(fmt::format("a {} has no slices", type_name(object)));
  }
  std::vector<Value> items;
  const auto size = static_cast<int64_t>(list->items.size());
  for (const int64_t i : slice_indices(context_, size, bounds[0], bounds[1], bounds[2])) {
    items.push_back(list->items[static_cast<size_t>(i)]);
  }
  return make_list(context_, std::move(items), list->kind);
}

CallArguments Interpreter::arguments(const Expression& expression, Scope& scope) {
  CallArguments given;
  for (size_t i = 1; i < expression.parts.size(); ++i) {
    given.positional.push_back(evaluate(*expression.parts[i], scope));
  }
  for (const auto& [key, value] : expression.keywords) {
    spend_on_name(key);
    given.named.emplace_back(key, evaluate(*value, scope));
  }
  return given;
}

Value Interpreter::call(const Expression& expression, Scope& scope, const Macro* caller) {
  const Expression& callee = *expression.parts[0];
  if (callee.kind != ExpressionKind::kAttribute) {
    const Value function = evaluate(callee, scope);
    const CallArguments given = arguments(expression, scope);
    context_.line = expression.line;
    return call_value(function, given, caller);
  }
  const Value object = evaluate(*callee.parts[0], scope);
  context_.line = callee.line;
  spend_on_name(callee.name);
  const Value method = attribute(context_, object, callee.name);
  const CallArguments given = arguments(expression, scope);
  context_.line = expression.line;
  if (method.function() != nullptr && caller == nullptr) return call_method(context_, object, callee.name, given);
  return call_value(method, given, caller);
}

Value Interpreter::call_value(const Value& callee, const CallArguments& given, const Macro* caller) {
  if (callee.macro() != nullptr) return call_macro(*callee.macro(), given, caller);
  if (callee.function() != nullptr && caller == nullptr) {
    return call_function(context_, callee.function()->name, given);
  }
  if (callee.is_undefined()) context_.fail(*std::get<Undefined>(callee.data()).why);
  context_.fail(fmt::format("a {} cannot be called here", type_name(callee)));
}

Value Interpreter::call_macro(const Macro& macro, const CallArguments& given, const Macro* caller) {
  const Statement& statement = *macro.statement;
  spend_on_name(statement.name);
  const std::string what =
      statement.kind == StatementKind::kMacro ? fmt::format("the macro '{}'", statement.name) : "caller()";
  std::vector<const char*> names;
  for (const Parameter& parameter : statement.parameters) names.push_back(parameter.name.c_str());
  const Arguments bound(context_, what, given, names);
  Scope scope(macro.closure);
  for (size_t i = 0; i < names.size(); ++i) {
    const Parameter& parameter = statement.parameters[i];
    spend_on_name(parameter.name);
    if (bound.has(i)) {
      scope.names[parameter.name] = bound.value(i);
    } else if (parameter.otherwise != nullptr) {
      scope.names[parameter.name] = evaluate(*parameter.otherwise, scope);
    } else {
      scope.names[parameter.name] = Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name));
    }
  }
  if (caller != nullptr) scope.names["caller"] = Value(caller);
  Text out;
  execute(statement.bodies[0], scope, out);
  return Value(std::move(out));
}

Value Interpreter::concatenate(const Expression& expression, Scope& scope) {
  Text result;
  for (const auto& part : expression.parts) {
    const Value value = evaluate(*part, scope);
    context_.line = expression.line;
    append(to_text(context_, value), result);
  }
  return Value(std::move(result));
}

Value Interpreter::compare_all(const Expression& expression, Scope& scope) {
  Value left = evaluate(*expression.parts[0], scope);
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = evaluate(*expression.parts[i + 1], scope);
    context_.line = expression.line;
    if (!compare(context_, expression.operators[i], left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::choose(const Expression& expression, Scope& scope) {
  if (truth(evaluate(*expression.parts[0], scope))) return evaluate(*expression.parts[1], scope);
  if (expression.parts[2] != nullptr) return evaluate(*expression.parts[2], scope);
  return Value::undefined("an 'if' without 'else' has no value");
}

Value Interpreter::collection(const Expression& expression, Scope& scope) {
  std::vector<Value> parts;
  for (const auto& part : expression.parts) parts.push_back(evaluate(*part, scope));
  context_.line = expression.line;
  if (expression.kind == ExpressionKind::kList) return make_list(context_, std::move(parts));
  if (expression.kind == ExpressionKind::kTuple) return make_list(context_, std::move(parts), ListKind::kTuple);
  std::vector<std::pair<Value, Value>> items;
  for (size_t i = 0; i + 1 < parts.size(); i += 2) items.emplace_back(std::move(parts[i]), std::move(parts[i + 1]));
  return make_dict(context_, std::move(items));
}

}  // namespace terse::data::jinja
