// Renders a syntax tree. One Interpreter renders once, in one thread.
//
// Scopes follow Jinja2: the body of a loop, a macro or a block sees the names around it, and what it sets is gone after
// it. {% if %} has no scope of its own.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "data/chat/jinja/library/arguments.h"
#include "data/chat/jinja/syntax/syntax.h"

namespace terse::data::jinja {

struct Scope;

// A macro, or the caller() of a {% call %} block, together with the scope in which it is defined. It never outlives
// this scope, because no list, dict or namespace can hold it.
struct Macro {
  const Statement* statement = nullptr;
  Scope* closure = nullptr;
};

struct Scope {
  explicit Scope(Scope* outer) : parent(outer) {}

  Scope* parent;
  std::map<std::string, Value, std::less<>> names;
  std::deque<Macro> macros;  // those that are defined here; their addresses stay
};

class Interpreter {
 public:
  // `body` and `context` must outlive the interpreter.
  Interpreter(const Body& body, Context& context) : body_(body), context_(context) {}

  // Gives the template a variable.
  void set(const std::string& name, Value value) { globals_.names[name] = std::move(value); }

  // Returns the rendered text. Throws DataError where the template fails.
  Text run();

 private:
  enum class Flow { kNext, kBreak, kContinue };

  // Statements. Each appends to `out`.
  Flow execute(const Body& body, Scope& scope, Text& out);
  Flow execute(const Statement& statement, Scope& scope, Text& out);
  Flow if_statement(const Statement& statement, Scope& scope, Text& out);
  Flow for_statement(const Statement& statement, Scope& scope, Text& out);
  Flow with_statement(const Statement& statement, Scope& scope, Text& out);
  void output(const Statement& statement, Scope& scope, Text& out);
  void define_macro(const Statement& statement, Scope& scope);
  void call_block(const Statement& statement, Scope& scope, Text& out);
  void generation(const Statement& statement, Scope& scope, Text& out);
  // Returns the text of a block after the filters, if there are any.
  Value filtered_block(const Body& body, const Expression* filters, Scope& scope);
  std::vector<Value> loop_items(const Statement& statement, Scope& scope);
  void assign(const Expression& target, Value value, Scope& scope);
  void append(const Text& text, Text& out);
  // A long name costs time wherever it is looked up, stored or put into a message.
  void spend_on_name(const std::string& name);

  // Expressions.
  Value evaluate(const Expression& expression, Scope& scope);
  Value evaluate_kind(const Expression& expression, Scope& scope);
  Value unary(const Expression& expression, Scope& scope);
  Value binary(const Expression& expression, Scope& scope);
  Value filter_or_test(const Expression& expression, Scope& scope);
  Value name(const Expression& expression, const Scope& scope);
  Value slice(const Expression& expression, Scope& scope);
  Value call(const Expression& expression, Scope& scope, const Macro* caller);
  Value call_value(const Value& callee, const CallArguments& arguments, const Macro* caller);
  Value call_macro(const Macro& macro, const CallArguments& arguments, const Macro* caller);
  Value concatenate(const Expression& expression, Scope& scope);
  Value compare_all(const Expression& expression, Scope& scope);
  Value choose(const Expression& expression, Scope& scope);
  Value collection(const Expression& expression, Scope& scope);
  CallArguments arguments(const Expression& expression, Scope& scope);

  const Body& body_;
  Context& context_;
  Scope globals_{nullptr};
  Value block_;  // the text that ExpressionKind::kBody stands for
};

}  // namespace terse::data::jinja
