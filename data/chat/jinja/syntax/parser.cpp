// Parses the statements of a template. Expressions are in expression_parser.cpp.
#include "data/chat/jinja/syntax/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "data/chat/jinja/syntax/expression_parser.h"

namespace terse::data::jinja {

namespace {

// What Jinja2 knows and a chat template has no use for.
constexpr std::array<std::string_view, 10> kRefused = {"include", "import", "from",       "extends", "block",
                                                       "print",   "do",     "autoescape", "trans",   "debug"};

class Parser {
 public:
  Parser(std::vector<Token> tokens, Context& context)
      : context_(context), tokens_(std::move(tokens), context), expressions_(tokens_, context) {}

  Body run() {
    Body body = statements({});
    if (!tokens_.is(TokenKind::kEnd)) tokens_.unexpected("the end of the template");
    return body;
  }

 private:
  // Parses until a tag that starts with one of these words, and leaves the word as the current token.
  Body statements(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(context_);
    if (++depth_ > Limits::kSyntaxDepth) {
      tokens_.fail(fmt::format("statements are nested more than {} deep", Limits::kSyntaxDepth));
    }
    Body body;
    while (!tokens_.is(TokenKind::kEnd)) {
      if (tokens_.is(TokenKind::kText)) {
        Statement text = make(StatementKind::kText);
        text.text = Text(tokens_.take().text);
        body.push_back(std::move(text));
      } else if (tokens_.is(TokenKind::kOutputBegin)) {
        Statement output = make(StatementKind::kOutput);
        tokens_.take();
        output.expressions.push_back(expressions_.tuple());
        tokens_.expect(TokenKind::kOutputEnd, "'}}'");
        body.push_back(std::move(output));
      } else {
        tokens_.expect(TokenKind::kBlockBegin, "a tag");
        if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return tokens_.is_name(end); })) break;
        body.push_back(statement());
        end_tag();
      }
    }
    if (tokens_.is(TokenKind::kEnd) && ends.size() > 0) {
      tokens_.unexpected(fmt::format("{{% {} %}}", *(ends.end() - 1)));
    }
    --depth_;
    return body;
  }

  Body statements_to(std::string_view end) {
    Body body = statements({end});
    tokens_.expect_name(end);
    return body;
  }

  Statement make(StatementKind kind) const {
    Statement statement;
    statement.kind = kind;
    statement.line = tokens_.line();
    return statement;
  }

  void end_tag() { tokens_.expect(TokenKind::kBlockEnd, "'%}'"); }

  Statement statement() {
    if (!tokens_.is(TokenKind::kName)) tokens_.unexpected("the name of a statement");
    const std::string word = tokens_.current().text;
    if (word == "if") return if_statement();
    if (word == "for") return for_statement();
    if (word == "set") return set_statement();
    if (word == "macro") return macro_statement();
    if (word == "call") return call_block();
    if (word == "filter") return filter_block();
    if (word == "with") return with_statement();
    if (word == "generation") return generation_block();
    if (word == "break" || word == "continue") return loop_control();
    if (std::find(kRefused.begin(), kRefused.end(), word) != kRefused.end()) {
      tokens_.refuse(fmt::format("the statement '{}'", word));
    }
    tokens_.fail(fmt::format("unknown statement '{}'", word));
  }

  Statement if_statement() {
    Statement made = make(StatementKind::kIf);
    do {
      tokens_.take();  // if, elif
      made.expressions.push_back(expressions_.tuple(false));
      end_tag();
      made.bodies.push_back(statements({"elif", "else", "endif"}));
    } while (tokens_.is_name("elif"));
    if (tokens_.take_name("else")) {
      end_tag();
      made.bodies.push_back(statements({"endif"}));
    }
    tokens_.expect_name("endif");
    return made;
  }

  Statement for_statement() {
    Statement made = make(StatementKind::kFor);
    tokens_.take();
    made.expressions.push_back(expressions_.target(false));
    tokens_.expect_name("in");
    made.expressions.push_back(expressions_.tuple(false));
    made.expressions.push_back(tokens_.take_name("if") ? expressions_.expression() : nullptr);
    if (tokens_.is_name("recursive")) tokens_.refuse("a recursive loop");
    end_tag();
    ++loops_;
    made.bodies.push_back(statements({"else", "endfor"}));
    --loops_;
    made.bodies.emplace_back();
    if (tokens_.take_name("else")) {
      end_tag();
      made.bodies.back() = statements({"endfor"});
    }
    tokens_.expect_name("endfor");
    return made;
  }

  Statement set_statement() {
    Statement made = make(StatementKind::kSet);
    tokens_.take();
    made.expressions.push_back(expressions_.target(true));
    if (tokens_.take_operator("=")) {
      made.expressions.push_back(expressions_.tuple());
      return made;
    }
    made.kind = StatementKind::kSetBlock;
    made.expressions.push_back(tokens_.take_operator("|") ? expressions_.block_filters() : nullptr);
    end_tag();
    made.bodies.push_back(captured("endset"));
    return made;
  }

  // Parses a body whose text does not go to the output at once. A loop around it cannot be left from inside.
  Body captured(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Body body = statements_to(end);
    loops_ = loops;
    return body;
  }

  std::vector<Parameter> parameters() {
    std::vector<Parameter> result;
    tokens_.expect_operator("(");
    while (!tokens_.is_operator(")")) {
      if (!result.empty()) tokens_.expect_operator(",");
      Parameter parameter;
      parameter.name = tokens_.expect_name();
      if (tokens_.take_operator("=")) {
        parameter.otherwise = expressions_.expression();
      } else if (!result.empty() && result.back().otherwise != nullptr) {
        tokens_.fail("a parameter without a default follows one with a default");
      }
      result.push_back(std::move(parameter));
    }
    tokens_.expect_operator(")");
    return result;
  }

  Statement macro_statement() {
    Statement made = make(StatementKind::kMacro);
    tokens_.take();
    made.name = tokens_.expect_name();
    made.parameters = parameters();
    end_tag();
    ++expressions_.macros;
    made.bodies.push_back(captured("endmacro"));
    --expressions_.macros;
    tokens_.take_name(made.name);  // {% endmacro name %}
    return made;
  }

  Statement call_block() {
    Statement made = make(StatementKind::kCallBlock);
    tokens_.take();
    if (tokens_.is_operator("(")) made.parameters = parameters();
    made.expressions.push_back(expressions_.expression());
    if (made.expressions.back()->kind != ExpressionKind::kCall) tokens_.unexpected("a call of a macro");
    end_tag();
    made.bodies.push_back(captured("endcall"));
    return made;
  }

  Statement filter_block() {
    Statement made = make(StatementKind::kFilterBlock);
    tokens_.take();
    made.expressions.push_back(expressions_.block_filters());
    end_tag();
    made.bodies.push_back(captured("endfilter"));
    return made;
  }

  Statement with_statement() {
    Statement made = make(StatementKind::kWith);
    tokens_.take();
    while (!tokens_.is(TokenKind::kBlockEnd)) {
      if (!made.expressions.empty()) tokens_.expect_operator(",");
      made.expressions.push_back(expressions_.target(false));
      tokens_.expect_operator("=");
      made.expressions.push_back(expressions_.expression());
    }
    end_tag();
    made.bodies.push_back(statements_to("endwith"));
    return made;
  }

  Statement generation_block() {
    Statement made = make(StatementKind::kGeneration);
    tokens_.take();
    end_tag();
    made.bodies.push_back(captured("endgeneration"));
    return made;
  }

  Statement loop_control() {
    if (loops_ == 0) tokens_.fail(fmt::format("'{}' is not in a loop", tokens_.current().text));
    Statement made = make(tokens_.is_name("break") ? StatementKind::kBreak : StatementKind::kContinue);
    tokens_.take();
    return made;
  }

  Context& context_;
  TokenStream tokens_;
  ExpressionParser expressions_;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

Body parse(std::string_view source, Context& context) {
  return Parser(tokenize(source, context), context).run();
}

}  // namespace terse::data::jinja
