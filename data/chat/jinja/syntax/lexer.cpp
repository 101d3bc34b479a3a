// The subtle rule is white space around tags. A "-" inside a tag strips all white space on its side. Otherwise, the new
// line after a statement or comment goes away, and so does the indentation before it, unless the tag has a "+" there.
#include "data/chat/jinja/syntax/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/utf8.h"
#include "data/chat/jinja/values/python_text.h"

namespace terse::data::jinja {

namespace {

constexpr std::array<std::string_view, 26> kOperators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                         "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                         ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_byte(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Replaces "\r\n" and "\r" by "\n", and removes one new line at the end.
std::string with_normal_lines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  Lexer(std::string source, Context& context) : source_(std::move(source)), context_(context) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const size_t open = find_tag();
      text_before_tag(open);
      if (open == std::string::npos) break;
      at_ = open + 2;
      const char kind = source_[open + 1];
      if (at("-") || at("+")) ++at_;
      if (kind == '#') {
        skip_comment();
      } else if (kind == '{') {
        tag(TokenKind::kOutputBegin, TokenKind::kOutputEnd, "}}");
      } else if (!raw_block()) {
        tag(TokenKind::kBlockBegin, TokenKind::kBlockEnd, "%}");
      }
    }
    add(TokenKind::kEnd, "the end of the template");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  bool at(std::string_view text) const { return rest().starts_with(text); }

  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), context_.line}); }

  void move_to(size_t end) {
    context_.line += static_cast<int>(std::count(source_.begin() + at_, source_.begin() + end, '\n'));
    at_ = end;
  }

  size_t find_tag() const {
    for (size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] == '{' && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) return i;
    }
    return std::string::npos;
  }

  // Adds the text up to a tag, without the white space that the tag removes.
  void text_before_tag(size_t open) {
    const size_t end = std::min(open, source_.size());
    std::string_view text = rest().substr(0, end - at_);
    if (open != std::string::npos) text = strip_before(text, open);
    if (!text.empty()) add(TokenKind::kText, std::string(text));
    move_to(end);
  }

  std::string_view strip_before(std::string_view text, size_t open) const {
    const char sign = open + 2 < source_.size() ? source_[open + 2] : ' ';
    if (sign == '-') return text.substr(0, end_without_white_space(text));
    if (source_[open + 1] == '{' || sign == '+') return text;
    const size_t last_line = text.rfind('\n');
    const size_t begin = last_line == std::string_view::npos ? 0 : last_line + 1;
    const bool starts_line = begin > 0 || at_ == 0 || source_[at_ - 1] == '\n';
    const std::string_view indentation = text.substr(begin);
    return starts_line && skip_white_space(indentation) == indentation.size() ? text.substr(0, begin) : text;
  }

  // Returns whether the tag ends here, and then moves behind it and the white space that it removes.
  bool end_tag(std::string_view end) {
    const bool is_output = end == "}}";
    const bool strips = at("-") && rest().substr(1).starts_with(end);
    const bool keeps = !is_output && at("+") && rest().substr(1).starts_with(end);
    if (!strips && !keeps && !at(end)) return false;
    move_to(at_ + end.size() + (strips || keeps ? 1 : 0));
    if (strips) {
      move_to(at_ + skip_white_space(rest()));
    } else if (!is_output && !keeps && at("\n")) {
      move_to(at_ + 1);
    }
    return true;
  }

  void skip_comment() {
    const int line = context_.line;
    while (at_ < source_.size()) {
      if (end_tag("#}")) return;
      move_to(at_ + 1);
    }
    context_.line = line;
    context_.fail("a comment that starts with {# has no #}");
  }

  // {% raw %} ... {% endraw %} holds text that may look like tags. The new line after {% raw %} is part of it.
  bool raw_block() {
    const size_t start = at_;
    const int line = context_.line;
    move_to(at_ + skip_white_space(rest()));
    const bool is_raw = at("raw") && !is_name_byte(rest().size() > 3 ? rest()[3] : ' ');
    if (is_raw) {
      move_to(at_ + 3);
      move_to(at_ + skip_white_space(rest()));
    }
    const bool strips = at("-%}");
    if (!is_raw || (!strips && !at("%}"))) {
      at_ = start;
      context_.line = line;
      return false;
    }
    move_to(at_ + (strips ? 3 : 2));
    if (strips) move_to(at_ + skip_white_space(rest()));
    for (size_t open = source_.find("{%", at_); open != std::string::npos; open = source_.find("{%", open + 2)) {
      size_t word = open + 2;
      if (word < source_.size() && (source_[word] == '-' || source_[word] == '+')) ++word;
      word += skip_white_space(std::string_view(source_).substr(word));
      if (!std::string_view(source_).substr(word).starts_with("endraw")) continue;
      text_before_tag(open);
      move_to(word + 6);
      move_to(at_ + skip_white_space(rest()));
      if (end_tag("%}")) return true;
      break;
    }
    context_.line = line;
    context_.fail("{% raw %} has no {% endraw %}");
  }

  // Reads the tokens of {{ ... }} or {% ... %}. Inside brackets, }} closes nothing.
  void tag(TokenKind begin, TokenKind end, std::string_view close) {
    const int line = context_.line;
    add(begin, "");
    std::string brackets;  // the ones that would close those that are open
    while (true) {
      move_to(at_ + skip_white_space(rest()));
      if (at_ >= source_.size()) {
        context_.line = line;
        context_.fail(fmt::format("a tag has no {}", close));
      }
      const int end_line = context_.line;
      if (brackets.empty() && end_tag(close)) {
        tokens_.push_back({end, std::string(close), end_line});
        return;
      }
      token(brackets);
    }
  }

  void token(std::string& brackets) {
    const char c = source_[at_];
    if (c == '\'' || c == '"') {
      string_literal(c);
    } else if (is_digit(c)) {
      number();
    } else if (is_name_byte(c)) {
      const auto end = std::find_if_not(source_.begin() + at_, source_.end(), is_name_byte);
      add(TokenKind::kName, std::string(source_.begin() + at_, end));
      at_ = end - source_.begin();
    } else {
      operator_sign(brackets);
    }
  }

  void operator_sign(std::string& brackets) {
    const auto* sign = std::find_if(kOperators.begin(), kOperators.end(), [&](std::string_view s) { return at(s); });
    if (sign == kOperators.end()) {
      context_.fail(fmt::format("unexpected {} in a tag", describe_character(first_code_point(rest()).value)));
    }
    const char c = sign->front();
    if (c == '(' || c == '[' || c == '{') {
      brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (!brackets.ends_with(c)) context_.fail(fmt::format("unexpected '{}'", c));
      brackets.pop_back();
    }
    add(TokenKind::kOperator, std::string(*sign));
    at_ += sign->size();
  }

  // Reads digits that may have single underscores between them.
  std::string digits(const char* allowed) {
    std::string value;
    while (at_ < source_.size()) {
      const bool underscore = source_[at_] == '_' && !value.empty();
      const size_t next = at_ + (underscore ? 1 : 0);
      if (next >= source_.size() || std::string_view(allowed).find(source_[next]) == std::string_view::npos) break;
      value += source_[next];
      at_ = next + 1;
    }
    return value;
  }

  void number() {
    constexpr const char* kDecimal = "0123456789";
    if (source_[at_] == '0' && at_ + 1 < source_.size() && std::string_view("bBoOxX").find(source_[at_ + 1]) < 6) {
      context_.refuse("a number that is not decimal");
    }
    const bool is_index = source_[at_ - 1] == '.';  // as in pair.0.1, where 0.1 is no number
    std::string value = digits(kDecimal);
    bool is_float = false;
    if (!is_index && at(".") && rest().size() > 1 && is_digit(rest()[1])) {
      ++at_;
      value += "." + digits(kDecimal);
      is_float = true;
    }
    const size_t sign = rest().size() > 1 && (rest()[1] == '+' || rest()[1] == '-') ? 2 : 1;
    if ((at("e") || at("E")) && rest().size() > sign && is_digit(rest()[sign])) {
      value += rest().substr(0, sign);
      at_ += sign;
      value += digits(kDecimal);
      is_float = true;
    }
    if (at_ < source_.size() && is_name_byte(source_[at_])) context_.fail("a name starts with a digit");
    add(is_float ? TokenKind::kFloat : TokenKind::kInteger, value);
  }

  void string_literal(char quote) {
    const int line = context_.line;
    std::string value;
    for (++at_; at_ < source_.size() && source_[at_] != quote;) {
      if (source_[at_] == '\\') {
        escape(value);
      } else {
        if (source_[at_] == '\n') ++context_.line;
        value += source_[at_++];
      }
    }
    if (at_ >= source_.size()) {
      context_.line = line;
      context_.fail("a string is not closed");
    }
    ++at_;
    tokens_.push_back({TokenKind::kString, std::move(value), line});
  }

  // Decodes a backslash and what follows, as in Python's string literals.
  void escape(std::string& value) {
    if (at_ + 1 >= source_.size()) context_.fail("a string is not closed");
    const char c = source_[at_ + 1];
    constexpr std::string_view kNames = "\\'\"abfnrtv";
    constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
    const size_t hex_digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    at_ += 2;
    if (const size_t i = kNames.find(c); i != std::string_view::npos) {
      value += kValues[i];
    } else if (c == '\n') {
      ++context_.line;
    } else if (hex_digits > 0) {
      code_point(value, hex_digits, 16);
    } else if (c >= '0' && c <= '7') {
      --at_;
      size_t count = 1;
      while (count < 3 && count < rest().size() && rest()[count] >= '0' && rest()[count] <= '7') ++count;
      code_point(value, count, 8);
    } else if (c == 'N') {
      context_.refuse("the escape \\N{...} in a string");
    } else {
      value += '\\';
      value += c;
    }
  }

  void code_point(std::string& value, size_t count, int base) {
    uint32_t number = 0;
    const std::string_view text = rest().substr(0, count);
    const auto result = std::from_chars(text.data(), text.data() + text.size(), number, base);
    const bool whole = text.size() == count && result.ptr == text.data() + count && result.ec == std::errc();
    if (!whole || number > 0x10FFFF || (number >= 0xD800 && number < 0xE000)) {
      context_.fail("an escape in a string names no character");
    }
    at_ += count;
    append_utf8(value, number);
  }

  const std::string source_;
  Context& context_;
  size_t at_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, Context& context) {
  if (source.size() > Limits::kTemplateBytes) {
    context.fail(fmt::format("the template has {} bytes, more than {}", source.size(), Limits::kTemplateBytes));
  }
  if (const size_t invalid = find_invalid_utf8(source); invalid != std::string_view::npos) {
    context.fail(fmt::format("the template is not UTF-8 at byte {}", invalid));
  }
  return Lexer(with_normal_lines(source), context).run();
}

}  // namespace terse::data::jinja
