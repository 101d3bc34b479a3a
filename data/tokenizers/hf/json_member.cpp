// Walks over the text without parsing values: strings are skipped, and brackets are counted.
#include "data/tokenizers/hf/json_member.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace terse::data {

namespace {

class Walker {
 public:
  Walker(std::string_view text, size_t at) : text_(text), at_(at) {}

  size_t at() const { return at_; }

  char peek() {
    at_ = text_.find_first_not_of(" \t\r\n", at_);
    if (at_ == std::string_view::npos) throw std::invalid_argument("with_member: the text is not JSON");
    return text_[at_];
  }

  void expect(char c) {
    if (peek() != c) throw std::invalid_argument(fmt::format("with_member: expected '{}' at byte {}", c, at_));
    ++at_;
  }

  // Skips a string and returns what it says.
  std::string string() {
    expect('"');
    const size_t begin = at_ - 1;
    while (peek_raw() != '"') at_ += peek_raw() == '\\' ? 2 : 1;
    ++at_;
    return nlohmann::json::parse(text_.substr(begin, at_ - begin)).get<std::string>();
  }

  void skip_value() {
    int64_t depth = 0;
    do {
      const char c = peek();
      if (c == '"') {
        skip_string();
      } else {
        depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
        ++at_;
        if (depth == 0 && c != '}' && c != ']') skip_word();
      }
    } while (depth > 0);
  }

 private:
  char peek_raw() const {
    if (at_ >= text_.size()) throw std::invalid_argument("with_member: a string has no end");
    return text_[at_];
  }
  void skip_string() {
    ++at_;
    while (peek_raw() != '"') at_ += peek_raw() == '\\' ? 2 : 1;
    ++at_;
  }
  void skip_word() {  // the rest of a number, true, false or null
    at_ = std::min(text_.find_first_of(" \t\r\n,}]", at_), text_.size());
  }

  std::string_view text_;
  size_t at_;
};

}  // namespace

std::string with_member(const std::string& text, const std::vector<std::string>& path, std::string_view value) {
  size_t at = 0;
  for (size_t depth = 0; depth < path.size(); ++depth) {
    Walker walker(text, at);
    walker.expect('{');
    const size_t inside = walker.at();
    const bool is_empty = walker.peek() == '}';
    bool found = false;
    while (walker.peek() != '}') {
      const std::string key = walker.string();
      walker.expect(':');
      walker.peek();
      const size_t begin = walker.at();
      if (key == path[depth] && depth + 1 < path.size()) {
        at = begin;
        found = true;
        break;
      }
      walker.skip_value();
      if (key == path[depth]) return text.substr(0, begin) + std::string(value) + text.substr(walker.at());
      if (walker.peek() == ',') walker.expect(',');
    }
    if (found) continue;
    if (depth + 1 < path.size()) throw std::invalid_argument(fmt::format("with_member: no member {}", path[depth]));
    const std::string member = fmt::format("{}:{}{}", nlohmann::json(path[depth]).dump(), value, is_empty ? "" : ",");
    return text.substr(0, inside) + member + text.substr(inside);
  }
  throw std::invalid_argument("with_member: the path is empty");
}

}  // namespace terse::data
