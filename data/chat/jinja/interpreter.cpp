// Executes statements. Expressions are in evaluate.cpp.
#include "data/chat/jinja/interpreter.h"

#include <fmt/format.h>

#include "data/chat/jinja/library/functions.h"
#include "data/chat/jinja/values/python_text.h"
#include "data/chat/jinja/values/text_operations.h"

namespace terse::data::jinja {

Text Interpreter::run() {
  Text out;
  Scope scope(&globals_);
  execute(body_, scope, out);
  return out;
}

void Interpreter::append(const Text& text, Text& out) {
  context_.spend(weight(text));
  out.append(text);
}

void Interpreter::spend_on_name(const std::string& name) {
  constexpr size_t kShort = 64;  // what is shorter costs no more than the unit of its expression
  if (name.size() > kShort) context_.spend(name.size());
}

Interpreter::Flow Interpreter::execute(const Body& body, Scope& scope, Text& out) {
  for (const Statement& statement : body) {
    const Flow flow = execute(statement, scope, out);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const Statement& statement, Scope& scope, Text& out) {
  const Nesting nesting(context_);
  context_.line = statement.line;
  context_.spend();
  switch (statement.kind) {
    case StatementKind::kText:
      append(statement.text, out);
      break;
    case StatementKind::kOutput:
      output(statement, scope, out);
      break;
    case StatementKind::kIf:
      return if_statement(statement, scope, out);
    case StatementKind::kFor:
      return for_statement(statement, scope, out);
    case StatementKind::kWith:
      return with_statement(statement, scope, out);
    case StatementKind::kSet:
      assign(*statement.expressions[0], evaluate(*statement.expressions[1], scope), scope);
      break;
    case StatementKind::kSetBlock:
      assign(*statement.expressions[0], filtered_block(statement.bodies[0], statement.expressions[1].get(), scope),
             scope);
      break;
    case StatementKind::kFilterBlock:
      append(to_text(context_, filtered_block(statement.bodies[0], statement.expressions[0].get(), scope)), out);
      break;
    case StatementKind::kMacro:
      define_macro(statement, scope);
      break;
    case StatementKind::kCallBlock:
      call_block(statement, scope, out);
      break;
    case StatementKind::kGeneration:
      generation(statement, scope, out);
      break;
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

void Interpreter::output(const Statement& statement, Scope& scope, Text& out) {
  const Value value = evaluate(*statement.expressions[0], scope);
  if (const Text* text = value.text()) {
    append(*text, out);
  } else {
    append(to_text(context_, value), out);
  }
}

Interpreter::Flow Interpreter::if_statement(const Statement& statement, Scope& scope, Text& out) {
  for (size_t i = 0; i < statement.expressions.size(); ++i) {
    if (truth(evaluate(*statement.expressions[i], scope))) return execute(statement.bodies[i], scope, out);
  }
  const bool has_else = statement.bodies.size() > statement.expressions.size();
  return has_else ? execute(statement.bodies.back(), scope, out) : Flow::kNext;
}

std::vector<Value> Interpreter::loop_items(const Statement& statement, Scope& scope) {
  std::vector<Value> items = iterate(context_, evaluate(*statement.expressions[1], scope));
  if (statement.expressions[2] == nullptr) return items;
  std::vector<Value> kept;
  for (Value& item : items) {
    Scope inner(&scope);
    assign(*statement.expressions[0], item, inner);
    if (truth(evaluate(*statement.expressions[2], inner))) kept.push_back(std::move(item));
  }
  return kept;
}

Interpreter::Flow Interpreter::for_statement(const Statement& statement, Scope& scope, Text& out) {
  const std::vector<Value> items = loop_items(statement, scope);
  if (items.empty()) {
    Scope inner(&scope);
    return execute(statement.bodies[1], inner, out);
  }
  Loop loop;
  loop.length = static_cast<int64_t>(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    context_.spend();
    Scope inner(&scope);
    loop.index0 = static_cast<int64_t>(i);
    loop.previous = i > 0 ? items[i - 1] : Value::undefined("there is no previous item");
    loop.next = i + 1 < items.size() ? items[i + 1] : Value::undefined("there is no next item");
    inner.names["loop"] = Value(static_cast<const Loop*>(&loop));
    assign(*statement.expressions[0], items[i], inner);
    if (execute(statement.bodies[0], inner, out) == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::with_statement(const Statement& statement, Scope& scope, Text& out) {
  Scope inner(&scope);
  for (size_t i = 0; i < statement.expressions.size(); i += 2) {
    assign(*statement.expressions[i], evaluate(*statement.expressions[i + 1], scope), inner);
  }
  return execute(statement.bodies[0], inner, out);
}

Value Interpreter::filtered_block(const Body& body, const Expression* filters, Scope& scope) {
  Text text;
  Scope inner(&scope);
  execute(body, inner, text);
  if (filters == nullptr) return Value(std::move(text));
  // The arguments of the filters may render blocks of their own, so the text around them comes back at the end.
  const Value outer = std::exchange(block_, Value(std::move(text)));
  Value result = evaluate(*filters, scope);
  block_ = outer;
  return result;
}

void Interpreter::define_macro(const Statement& statement, Scope& scope) {
  spend_on_name(statement.name);
  scope.macros.push_back({&statement, &scope});
  scope.names[statement.name] = Value(static_cast<const Macro*>(&scope.macros.back()));
}

void Interpreter::call_block(const Statement& statement, Scope& scope, Text& out) {
  const Macro caller{&statement, &scope};
  append(to_text(context_, call(*statement.expressions[0], scope, &caller)), out);
}

void Interpreter::generation(const Statement& statement, Scope& scope, Text& out) {
  const size_t begin = out.size();
  Scope inner(&scope);
  execute(statement.bodies[0], inner, out);
  context_.spend(out.size() - begin);
  out.mark_generated(begin);
}

void Interpreter::assign(const Expression& target, Value value, Scope& scope) {
  context_.line = target.line;
  spend_on_name(target.name);
  if (target.kind == ExpressionKind::kName) {
    scope.names[target.name] = std::move(value);
  } else if (target.kind == ExpressionKind::kAttribute) {
    const Value space = name(*target.parts[0], scope);
    if (space.space() == nullptr) {
      context_.fail(fmt::format("{}.{} cannot be set, because '{}' is no namespace but a {}", target.parts[0]->name,
                                target.name, target.parts[0]->name, type_name(space)));
    }
    set_attribute(context_, *space.space(), target.name, std::move(value));
  } else {
    std::vector<Value> items = iterate(context_, value);
    if (items.size() != target.parts.size()) {
      context_.fail(fmt::format("{} values cannot be unpacked into {} names", items.size(), target.parts.size()));
    }
    for (size_t i = 0; i < items.size(); ++i) assign(*target.parts[i], std::move(items[i]), scope);
  }
}

}  // namespace terse::data::jinja
