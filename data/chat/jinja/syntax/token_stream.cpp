// Words the messages about tokens that are not what the grammar expects.
#include "data/chat/jinja/syntax/token_stream.h"

#include <fmt/format.h>

namespace terse::data::jinja {

Token TokenStream::take() {
  Token token = current();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenStream::take_name(std::string_view name) {
  const bool found = is_name(name);
  if (found) take();
  return found;
}

bool TokenStream::take_operator(std::string_view sign) {
  const bool found = is_operator(sign);
  if (found) take();
  return found;
}

std::string TokenStream::expect_name() {
  if (!is(TokenKind::kName)) unexpected("a name");
  return take().text;
}

void TokenStream::expect_name(std::string_view name) {
  if (!take_name(name)) unexpected(fmt::format("'{}'", name));
}

void TokenStream::expect_operator(std::string_view sign) {
  if (!take_operator(sign)) unexpected(fmt::format("'{}'", sign));
}

void TokenStream::expect(TokenKind kind, std::string_view what) {
  if (!is(kind)) unexpected(what);
  take();
}

void TokenStream::fail(std::string_view problem) const {
  context_.line = line();
  context_.fail(problem);
}

void TokenStream::refuse(std::string_view construct) const {
  context_.line = line();
  context_.refuse(construct);
}

void TokenStream::unexpected(std::string_view expected) const {
  const bool is_end = is(TokenKind::kEnd);
  fail(fmt::format("expected {}, found {}", expected, is_end ? current().text : "'" + current().text + "'"));
}

}  // namespace terse::data::jinja
