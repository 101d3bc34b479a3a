// Parses expressions by the grammar of Jinja2, from the loosest binding to the tightest: a if b else c, or, and, not,
// comparisons, + -, ~, * / // %, **, signs, filters and tests, calls and subscripts.
#pragma once

#include <string>

#include "data/chat/jinja/syntax/syntax.h"
#include "data/chat/jinja/syntax/token_stream.h"

namespace terse::data::jinja {

class ExpressionParser {
 public:
  ExpressionParser(TokenStream& tokens, Context& context) : tokens_(tokens), context_(context) {}

  ExpressionPointer expression();
  // Parses one expression, or a tuple without parentheses. `conditional` is whether "a if b" may be part of it.
  ExpressionPointer tuple(bool conditional = true);
  // Parses the target of {% set %} and {% for %}: a name, a tuple of names or, where allowed, namespace.attribute.
  ExpressionPointer target(bool attribute_allowed);
  // Parses filters: `name(...) | name(...)`, which apply to the text of a block.
  ExpressionPointer block_filters();
  // Inside macros, the names varargs and kwargs have a meaning that is not supported.
  int macros = 0;

 private:
  std::unique_ptr<Expression> make(ExpressionKind kind, int line) const;
  ExpressionPointer finish(std::unique_ptr<Expression> node) const;

  ExpressionPointer conditional();
  ExpressionPointer either();
  ExpressionPointer both();
  ExpressionPointer negation();
  ExpressionPointer comparison();
  ExpressionPointer sum();
  ExpressionPointer concatenation();
  ExpressionPointer product();
  ExpressionPointer power();
  ExpressionPointer sign(bool with_filters);
  ExpressionPointer primary();
  ExpressionPointer name_or_constant();
  ExpressionPointer number();
  ExpressionPointer parenthesized();
  ExpressionPointer list();
  ExpressionPointer dict();
  ExpressionPointer postfix(ExpressionPointer node);
  ExpressionPointer attribute(ExpressionPointer node);
  ExpressionPointer subscript(ExpressionPointer node);
  ExpressionPointer filters_and_tests(ExpressionPointer node);
  ExpressionPointer filter(ExpressionPointer node);
  ExpressionPointer test(ExpressionPointer node);
  void arguments(Expression& call);
  bool ends_tuple() const;

  TokenStream& tokens_;
  Context& context_;
};

}  // namespace terse::data::jinja
