// Gives the parsers of statements and of expressions one view of the tokens.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "data/chat/jinja/syntax/lexer.h"

namespace terse::data::jinja {

class TokenStream {
 public:
  TokenStream(std::vector<Token> tokens, Context& context) : tokens_(std::move(tokens)), context_(context) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& following() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  int line() const { return current().line; }

  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_name(std::string_view name) const { return is(TokenKind::kName) && current().text == name; }
  bool is_operator(std::string_view sign) const { return is(TokenKind::kOperator) && current().text == sign; }

  // Returns the current token and moves to the next one. The last token, kEnd, stays.
  Token take();
  bool take_name(std::string_view name);      // returns whether it was there
  bool take_operator(std::string_view sign);  // returns whether it was there
  std::string expect_name();                  // of any name
  void expect_name(std::string_view name);
  void expect_operator(std::string_view sign);
  void expect(TokenKind kind, std::string_view what);

  // Throws DataError at the line of the current token.
  [[noreturn]] void fail(std::string_view problem) const;
  [[noreturn]] void refuse(std::string_view construct) const;
  [[noreturn]] void unexpected(std::string_view expected) const;

 private:
  std::vector<Token> tokens_;
  Context& context_;
  size_t at_ = 0;
};

}  // namespace terse::data::jinja
