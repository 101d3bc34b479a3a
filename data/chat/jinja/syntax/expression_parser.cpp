// A tree can become deep by recursion, as in ((((1)))), and by loops, as in a.b.c.d. finish() bounds the second kind,
// and expression() and sign() the first.
#include "data/chat/jinja/syntax/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "data/chat/jinja/library/filters.h"
#include "data/chat/jinja/library/tests.h"

namespace terse::data::jinja {

namespace {

constexpr std::array<std::string_view, 6> kComparisons = {"==", "!=", "<", "<=", ">", ">="};

}  // namespace

std::unique_ptr<Expression> ExpressionParser::make(ExpressionKind kind, int line) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = line;
  return node;
}

ExpressionPointer ExpressionParser::finish(std::unique_ptr<Expression> node) const {
  const auto include = [&](const ExpressionPointer& part) {
    if (part != nullptr) node->depth = std::max(node->depth, 1 + part->depth);
  };
  for (const auto& part : node->parts) include(part);
  for (const auto& keyword : node->keywords) include(keyword.second);
  if (node->depth > Limits::kSyntaxDepth) {
    tokens_.fail(fmt::format("an expression is nested more than {} deep", Limits::kSyntaxDepth));
  }
  return node;
}

ExpressionPointer ExpressionParser::expression() {
  return conditional();
}

ExpressionPointer ExpressionParser::conditional() {
  const Nesting nesting(context_);
  ExpressionPointer node = either();
  while (tokens_.is_name("if")) {
    auto choice = make(ExpressionKind::kConditional, tokens_.line());
    tokens_.take();
    choice->parts.push_back(either());
    choice->parts.push_back(std::move(node));
    choice->parts.push_back(tokens_.take_name("else") ? conditional() : nullptr);
    node = finish(std::move(choice));
  }
  return node;
}

ExpressionPointer ExpressionParser::either() {
  ExpressionPointer node = both();
  while (tokens_.is_name("or")) {
    auto pair = make(ExpressionKind::kOr, tokens_.take().line);
    pair->parts.push_back(std::move(node));
    pair->parts.push_back(both());
    node = finish(std::move(pair));
  }
  return node;
}

ExpressionPointer ExpressionParser::both() {
  ExpressionPointer node = negation();
  while (tokens_.is_name("and")) {
    auto pair = make(ExpressionKind::kAnd, tokens_.take().line);
    pair->parts.push_back(std::move(node));
    pair->parts.push_back(negation());
    node = finish(std::move(pair));
  }
  return node;
}

ExpressionPointer ExpressionParser::negation() {
  const Nesting nesting(context_);
  if (!tokens_.is_name("not")) return comparison();
  auto node = make(ExpressionKind::kNot, tokens_.take().line);
  node->parts.push_back(negation());
  return finish(std::move(node));
}

ExpressionPointer ExpressionParser::comparison() {
  auto node = make(ExpressionKind::kCompare, tokens_.line());
  node->parts.push_back(sum());
  while (true) {
    const Token& token = tokens_.current();
    const bool is_sign = token.kind == TokenKind::kOperator &&
                         std::find(kComparisons.begin(), kComparisons.end(), token.text) != kComparisons.end();
    const bool is_not_in =
        tokens_.is_name("not") && tokens_.following().kind == TokenKind::kName && tokens_.following().text == "in";
    if (!is_sign && !is_not_in && !tokens_.is_name("in")) break;
    node->operators.push_back(is_not_in ? "not in" : token.text);
    if (is_not_in) tokens_.take();
    tokens_.take();
    node->parts.push_back(sum());
  }
  if (node->operators.empty()) return std::move(node->parts.front());
  return finish(std::move(node));
}

ExpressionPointer ExpressionParser::sum() {
  ExpressionPointer node = concatenation();
  while (tokens_.is_operator("+") || tokens_.is_operator("-")) {
    auto pair = make(ExpressionKind::kArithmetic, tokens_.line());
    pair->name = tokens_.take().text;
    pair->parts.push_back(std::move(node));
    pair->parts.push_back(concatenation());
    node = finish(std::move(pair));
  }
  return node;
}

ExpressionPointer ExpressionParser::concatenation() {
  auto node = make(ExpressionKind::kConcatenate, tokens_.line());
  node->parts.push_back(product());
  while (tokens_.take_operator("~")) node->parts.push_back(product());
  if (node->parts.size() == 1) return std::move(node->parts.front());
  return finish(std::move(node));
}

ExpressionPointer ExpressionParser::product() {
  ExpressionPointer node = power();
  while (tokens_.is_operator("*") || tokens_.is_operator("/") || tokens_.is_operator("//") ||
         tokens_.is_operator("%")) {
    auto pair = make(ExpressionKind::kArithmetic, tokens_.line());
    pair->name = tokens_.take().text;
    pair->parts.push_back(std::move(node));
    pair->parts.push_back(power());
    node = finish(std::move(pair));
  }
  return node;
}

ExpressionPointer ExpressionParser::power() {
  ExpressionPointer node = sign(true);
  while (tokens_.is_operator("**")) {
    auto pair = make(ExpressionKind::kArithmetic, tokens_.line());
    pair->name = tokens_.take().text;
    pair->parts.push_back(std::move(node));
    pair->parts.push_back(sign(true));
    node = finish(std::move(pair));
  }
  return node;
}

ExpressionPointer ExpressionParser::sign(bool with_filters) {
  const Nesting nesting(context_);
  ExpressionPointer node;
  if (tokens_.is_operator("-") || tokens_.is_operator("+")) {
    const Token token = tokens_.take();
    auto made = make(token.text == "-" ? ExpressionKind::kNegative : ExpressionKind::kPositive, token.line);
    made->parts.push_back(sign(false));
    node = finish(std::move(made));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filters ? filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPointer ExpressionParser::primary() {
  const Token& token = tokens_.current();
  if (token.kind == TokenKind::kName) return name_or_constant();
  if (token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) return number();
  if (token.kind == TokenKind::kString) {
    auto node = make(ExpressionKind::kConstant, token.line);
    std::string value;
    while (tokens_.is(TokenKind::kString)) value += tokens_.take().text;
    node->constant = Value(Text(value));
    return node;
  }
  if (tokens_.is_operator("(")) return parenthesized();
  if (tokens_.is_operator("[")) return list();
  if (tokens_.is_operator("{")) return dict();
  tokens_.unexpected("an expression");
}

ExpressionPointer ExpressionParser::name_or_constant() {
  const Token token = tokens_.take();
  auto node = make(ExpressionKind::kConstant, token.line);
  if (token.text == "true" || token.text == "True") {
    node->constant = Value(true);
  } else if (token.text == "false" || token.text == "False") {
    node->constant = Value(false);
  } else if (token.text != "none" && token.text != "None") {
    if (macros > 0 && (token.text == "varargs" || token.text == "kwargs")) {
      tokens_.refuse(fmt::format("'{}' in a macro", token.text));
    }
    node->kind = ExpressionKind::kName;
    node->name = token.text;
  }
  return node;
}

ExpressionPointer ExpressionParser::number() {
  const Token token = tokens_.take();
  auto node = make(ExpressionKind::kConstant, token.line);
  const char* end = token.text.data() + token.text.size();
  if (token.kind == TokenKind::kInteger) {
    int64_t value = 0;
    const auto result = std::from_chars(token.text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end) tokens_.fail("the number " + token.text + " is too large");
    node->constant = Value(value);
  } else {
    double value = 0;
    const auto result = std::from_chars(token.text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end) tokens_.fail("the number " + token.text + " is out of range");
    node->constant = Value(value);
  }
  return node;
}

ExpressionPointer ExpressionParser::parenthesized() {
  const int line = tokens_.take().line;
  ExpressionPointer node;
  if (tokens_.is_operator(")")) {
    node = make(ExpressionKind::kTuple, line);
  } else {
    node = tuple();
  }
  tokens_.expect_operator(")");
  return node;
}

ExpressionPointer ExpressionParser::list() {
  auto node = make(ExpressionKind::kList, tokens_.take().line);
  while (!tokens_.is_operator("]")) {
    if (!node->parts.empty()) tokens_.expect_operator(",");
    if (tokens_.is_operator("]")) break;
    node->parts.push_back(expression());
  }
  tokens_.expect_operator("]");
  return finish(std::move(node));
}

ExpressionPointer ExpressionParser::dict() {
  auto node = make(ExpressionKind::kDict, tokens_.take().line);
  while (!tokens_.is_operator("}")) {
    if (!node->parts.empty()) tokens_.expect_operator(",");
    if (tokens_.is_operator("}")) break;
    node->parts.push_back(expression());
    tokens_.expect_operator(":");
    node->parts.push_back(expression());
  }
  tokens_.expect_operator("}");
  return finish(std::move(node));
}

bool ExpressionParser::ends_tuple() const {
  return tokens_.is(TokenKind::kOutputEnd) || tokens_.is(TokenKind::kBlockEnd) || tokens_.is_operator(")");
}

ExpressionPointer ExpressionParser::tuple(bool conditional_allowed) {
  auto node = make(ExpressionKind::kTuple, tokens_.line());
  bool is_tuple = false;
  while (!ends_tuple()) {
    node->parts.push_back(conditional_allowed ? expression() : either());
    if (!tokens_.take_operator(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return finish(std::move(node));
  if (node->parts.empty()) tokens_.unexpected("an expression");
  return std::move(node->parts.front());
}

ExpressionPointer ExpressionParser::target(bool attribute_allowed) {
  const bool parentheses = tokens_.take_operator("(");
  auto node = make(ExpressionKind::kTuple, tokens_.line());
  bool is_tuple = false;
  while (true) {
    auto name = make(ExpressionKind::kName, tokens_.line());
    name->name = tokens_.expect_name();
    if (name->name == "true" || name->name == "false" || name->name == "none") {
      tokens_.fail(fmt::format("'{}' cannot be set", name->name));
    }
    if (attribute_allowed && !is_tuple && tokens_.take_operator(".")) {
      auto attribute = make(ExpressionKind::kAttribute, name->line);
      attribute->name = tokens_.expect_name();
      attribute->parts.push_back(finish(std::move(name)));
      return finish(std::move(attribute));
    }
    node->parts.push_back(finish(std::move(name)));
    if (!tokens_.take_operator(",")) break;
    is_tuple = true;
    if (ends_tuple()) break;
  }
  if (parentheses) tokens_.expect_operator(")");
  if (!is_tuple) return std::move(node->parts.front());
  return finish(std::move(node));
}

ExpressionPointer ExpressionParser::postfix(ExpressionPointer node) {
  while (true) {
    if (tokens_.is_operator(".")) {
      node = attribute(std::move(node));
    } else if (tokens_.is_operator("[")) {
      node = subscript(std::move(node));
    } else if (tokens_.is_operator("(")) {
      auto call = make(ExpressionKind::kCall, tokens_.line());
      call->parts.push_back(std::move(node));
      arguments(*call);
      node = finish(std::move(call));
    } else {
      return node;
    }
  }
}

ExpressionPointer ExpressionParser::attribute(ExpressionPointer node) {
  auto made = make(ExpressionKind::kAttribute, tokens_.take().line);
  made->parts.push_back(std::move(node));
  if (tokens_.is(TokenKind::kInteger)) {
    made->kind = ExpressionKind::kItem;
    made->parts.push_back(number());
  } else {
    made->name = tokens_.expect_name();
  }
  return finish(std::move(made));
}

ExpressionPointer ExpressionParser::subscript(ExpressionPointer node) {
  auto made = make(ExpressionKind::kItem, tokens_.take().line);
  made->parts.push_back(std::move(node));
  made->parts.push_back(tokens_.is_operator(":") ? nullptr : expression());
  if (tokens_.take_operator(":")) {
    made->kind = ExpressionKind::kSlice;
    const auto bound = [&] { return tokens_.is_operator(":") || tokens_.is_operator("]") ? nullptr : expression(); };
    made->parts.push_back(bound());
    made->parts.push_back(tokens_.take_operator(":") ? bound() : nullptr);
  }
  if (tokens_.is_operator(",")) tokens_.refuse("a subscript of several values");
  tokens_.expect_operator("]");
  return finish(std::move(made));
}

void ExpressionParser::arguments(Expression& call) {
  tokens_.expect_operator("(");
  bool first = true;
  while (!tokens_.is_operator(")")) {
    if (!first) tokens_.expect_operator(",");
    if (tokens_.is_operator(")")) break;
    first = false;
    if (tokens_.is_operator("*") || tokens_.is_operator("**")) tokens_.refuse("an argument with * or **");
    const bool is_keyword = tokens_.is(TokenKind::kName) && tokens_.following().kind == TokenKind::kOperator &&
                            tokens_.following().text == "=";
    if (is_keyword) {
      std::string name = tokens_.expect_name();
      tokens_.take();
      call.keywords.emplace_back(std::move(name), expression());
    } else {
      if (!call.keywords.empty()) tokens_.fail("an argument without a name follows one with a name");
      call.parts.push_back(expression());
    }
  }
  tokens_.expect_operator(")");
}

ExpressionPointer ExpressionParser::filters_and_tests(ExpressionPointer node) {
  while (true) {
    if (tokens_.take_operator("|")) {
      node = filter(std::move(node));
    } else if (tokens_.take_name("is")) {
      node = test(std::move(node));
    } else if (tokens_.is_operator("(")) {
      node = postfix(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPointer ExpressionParser::filter(ExpressionPointer node) {
  auto made = make(ExpressionKind::kFilter, tokens_.line());
  made->name = tokens_.expect_name();
  if (!is_filter(made->name)) tokens_.refuse(fmt::format("the filter '{}'", made->name));
  made->parts.push_back(std::move(node));
  if (tokens_.is_operator("(")) arguments(*made);
  return finish(std::move(made));
}

ExpressionPointer ExpressionParser::block_filters() {
  ExpressionPointer node = filter(make(ExpressionKind::kBody, tokens_.line()));
  while (tokens_.take_operator("|")) node = filter(std::move(node));
  return node;
}

ExpressionPointer ExpressionParser::test(ExpressionPointer node) {
  auto made = make(ExpressionKind::kTest, tokens_.line());
  const bool negated = tokens_.take_name("not");
  made->name = tokens_.expect_name();
  if (!is_test(made->name)) tokens_.refuse(fmt::format("the test '{}'", made->name));
  made->parts.push_back(std::move(node));
  const Token& token = tokens_.current();
  const bool starts_operand = token.kind == TokenKind::kName || token.kind == TokenKind::kString ||
                              token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat ||
                              tokens_.is_operator("[") || tokens_.is_operator("{");
  if (tokens_.is_operator("(")) {
    arguments(*made);
  } else if (starts_operand && !tokens_.is_name("else") && !tokens_.is_name("or") && !tokens_.is_name("and")) {
    if (tokens_.is_name("is")) tokens_.fail("a test cannot follow a test");
    made->parts.push_back(postfix(primary()));
  }
  if (!negated) return finish(std::move(made));
  auto negation = make(ExpressionKind::kNot, made->line);
  negation->parts.push_back(finish(std::move(made)));
  return finish(std::move(negation));
}

}  // namespace terse::data::jinja
