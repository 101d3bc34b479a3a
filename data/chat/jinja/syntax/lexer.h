// Splits a template into text and the tokens of its tags, by the rules of Jinja2 3.1 with the options that
// apply_chat_template() of transformers sets: trim_blocks and lstrip_blocks.
#pragma once

#include <string>
#include <vector>

#include "data/chat/jinja/values/context.h"

namespace terse::data::jinja {

enum class TokenKind {
  kText,
  kBlockBegin,   // {%
  kBlockEnd,     // %}
  kOutputBegin,  // {{
  kOutputEnd,    // }}
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // of a string: its value
  int line = 1;
};

// Throws DataError for a template that is too large, is not UTF-8, or has a tag that is not closed.
std::vector<Token> tokenize(std::string_view source, Context& context);

}  // namespace terse::data::jinja
