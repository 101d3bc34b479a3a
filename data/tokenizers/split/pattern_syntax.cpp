// Reads an expression once from left to right. The nesting of groups is a list, so that its depth costs no stack.
#include "data/tokenizers/split/pattern_syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include "base/utf8.h"
#include "data/tokenizers/split/unicode_tables.h"

namespace terse::data {

namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// An atom that stands for one character, or for a set of them (`\s`, `\p{L}`).
struct Atom {
  std::string text;  // of a set: the inside of a class
  bool is_set = false;
  bool negated = false;  // of a set
};

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  TranslatedPattern run() {
    while (at_ < pattern_.size()) piece();
    return std::move(result_);
  }

 private:
  bool starts(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  bool caseless() const { return !groups_.empty() && groups_.back(); }

  [[noreturn]] void refuse(size_t length, std::string_view why) const {
    throw std::invalid_argument(
        fmt::format("\"{}\" at byte {} of the pattern {}", printable(pattern_.substr(at_, length)), at_, why));
  }

  void pass(std::string_view from, std::string_view to) {
    at_ += from.size();
    result_.text += to;
  }

  void piece() {
    last_letter_ = letter_ + 1 == at_ ? pattern_[letter_] : '\0';
    switch (pattern_[at_]) {
      case '(':
        return open();
      case ')':
        if (!groups_.empty()) groups_.pop_back();
        pass(")", ")");
        return quantifier();
      case '[':
        return char_class();
      case '{':
        refuse(1, "does not follow what it repeats; write \\{ for a brace");
      case '^':
        result_.looks_back = true;
        return pass("^", "(?m:^)");
      case '$':
        return pass("$", "(?m:$)");
      case '?':
      case '*':
      case '+':
        refuse(1, "follows nothing that can be repeated");
      case '|':
        return pass("|", "|");
      case '.':
        pass(".", ".");
        return quantifier();
      default:
        break;
    }
    if (starts("\\A") || starts("\\z")) {
      result_.looks_back = result_.looks_back || starts("\\A");
      return pass(pattern_.substr(at_, 2), pattern_.substr(at_, 2));
    }
    const Atom found = atom(false);
    result_.text += found.is_set ? fmt::format("[{}{}]", found.negated ? "^" : "", found.text) : found.text;
    quantifier();
  }

  void open() {
    static constexpr std::array<std::string_view, 5> kSame = {"(?:", "(?=", "(?!", "(?>", "(?i:"};
    for (const std::string_view start : kSame) {
      if (!starts(start)) continue;
      groups_.push_back(caseless() || start == "(?i:");
      return pass(start, start);
    }
    for (const std::string_view start : {"(?<=", "(?<!"}) {
      if (!starts(start)) continue;
      result_.looks_back = true;
      groups_.push_back(caseless());
      return pass(start, start);
    }
    if (starts("(?-i:")) {
      groups_.push_back(false);
      return pass("(?-i:", "(?-i:");
    }
    if (starts("(?") || starts("(*")) refuse(3, "starts a kind of group that is not supported");
    groups_.push_back(caseless());
    pass("(", "(?:");  // nothing refers to groups by number
  }

  // Copies a repetition after an atom or a group.
  void quantifier() {
    if (at_ >= pattern_.size()) return;
    const char c = pattern_[at_];
    if (c == '?' || c == '*' || c == '+') {
      pass(pattern_.substr(at_, 1), pattern_.substr(at_, 1));
      if (at_ < pattern_.size() && (pattern_[at_] == '?' || pattern_[at_] == '+')) {
        pass(pattern_.substr(at_, 1), pattern_.substr(at_, 1));
      }
    } else if (c == '{') {
      interval();
    }
  }

  void interval() {
    const size_t close = std::min(pattern_.find('}', at_), pattern_.size());
    const std::string_view inside = pattern_.substr(at_ + 1, close - at_ - 1);
    const size_t comma = std::min(inside.find(','), inside.size());
    const std::string_view low = inside.substr(0, comma);
    const std::string_view high = comma < inside.size() ? inside.substr(comma + 1) : std::string_view();
    const bool numbers =
        std::all_of(low.begin(), low.end(), is_digit) && std::all_of(high.begin(), high.end(), is_digit);
    if (close == pattern_.size() || !numbers || (low.empty() && high.empty()) || inside.size() > 11) {
      refuse(inside.size() + 2, "is not a number of repetitions");
    }
    const std::string text =
        fmt::format("{{{}{}", low.empty() ? "0" : low, pattern_.substr(at_ + 1 + comma, close - at_ - comma));
    pass(pattern_.substr(at_, close + 1 - at_), text);
    if (at_ < pattern_.size() && std::string_view("?*+{").find(pattern_[at_]) != std::string_view::npos) {
      refuse(1, "repeats a repetition");
    }
  }

  // Reads one character, an escape or a property. Escapes that stand for a place, a group or a string are refused.
  Atom atom(bool in_class) {
    if (pattern_[at_] == '\\') return escape(in_class);
    const CodePoint point = first_code_point(pattern_.substr(at_));
    if (point.length == 0) refuse(1, "is not UTF-8");
    if (point.value == 0) refuse(1, "is a zero byte");
    if (caseless() && point.value >= 0x80)
      refuse(static_cast<size_t>(point.length), "is not supported without regard to case");
    const std::string_view bytes = pattern_.substr(at_, static_cast<size_t>(point.length));
    if (!in_class) require_single_fold(bytes[0]);
    at_ += bytes.size();
    const bool plain = point.value >= 0x80 || is_letter(bytes[0]) || is_digit(bytes[0]);
    return {plain ? std::string(bytes) : fmt::format("\\x{:02X}", static_cast<uint32_t>(point.value))};
  }

  // Without regard to case, Oniguruma also lets some pairs of letters match one character, such as "ss" and "ß".
  void require_single_fold(char c) {
    if (!caseless() || !is_letter(c)) return;
    static constexpr std::array<std::string_view, 5> kPairs = {"ss", "st", "ff", "fi", "fl"};
    const char pair[] = {static_cast<char>(last_letter_ | 0x20), static_cast<char>(c | 0x20)};
    if (std::find(kPairs.begin(), kPairs.end(), std::string_view(pair, 2)) != kPairs.end()) {
      refuse(1, "makes a pair with the letter before it that is not supported without regard to case");
    }
    letter_ = at_;
  }

  Atom escape(bool in_class) {
    if (at_ + 1 >= pattern_.size()) refuse(1, "stands alone at the end");
    const char c = pattern_[at_ + 1];
    if (in_class && (c == 'P' || c == 'S' || c == 'D')) refuse(2, "is not supported inside a class");
    switch (c) {
      case 'p':
      case 'P':
        return property();
      case 'x':
      case 'u':
        return number();
      case 's':
      case 'S':
        at_ += 2;
        return {std::string(white_space_class()), true, c == 'S'};
      case 'd':
      case 'D':
        at_ += 2;
        return {category_class("Nd"), true, c == 'D'};
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        at_ += 2;
        return {fmt::format("\\{}", c)};
      case 'v':
        at_ += 2;
        return {"\\x0B"};
      default:
        break;
    }
    if (is_letter(c) || is_digit(c)) refuse(2, "is an escape that is not supported");
    if (static_cast<uint8_t>(c) >= 0x80 || static_cast<uint8_t>(c) < 0x20) refuse(2, "is not an escape");
    at_ += 2;
    return {fmt::format("\\{}", c)};
  }

  Atom property() {
    const bool negated = pattern_[at_ + 1] == 'P';
    const size_t close = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || close == std::string_view::npos) {
      refuse(3, "is not a property: write \\p{L}");
    }
    const std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    const std::string text = category_class(name);
    const size_t length = close + 1 - at_;
    if (text.empty())
      refuse(std::min<size_t>(length, 40), "is a property that is not supported (only general categories)");
    if (caseless() && name[0] == 'L' && name.size() > 1) refuse(length, "is not supported without regard to case");
    at_ += length;
    return {text, true, negated};
  }

  Atom number() {
    const bool braces = at_ + 2 < pattern_.size() && pattern_[at_ + 2] == '{';
    const size_t first = at_ + (braces ? 3 : 2);
    const size_t limit = braces ? 8 : pattern_[at_ + 1] == 'u' ? 4 : 2;
    size_t end = first;
    uint32_t value = 0;
    for (; end < pattern_.size() && end - first < limit; ++end) {
      const char c = pattern_[end];
      const char lower = static_cast<char>(c | 0x20);
      if (!is_digit(c) && (lower < 'a' || lower > 'f')) break;
      value = value * 16 + static_cast<uint32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
    }
    const bool complete = braces ? end > first && end < pattern_.size() && pattern_[end] == '}' : end - first == limit;
    const bool scalar = value != 0 && value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
    // Oniguruma reads \xHH as a byte, which is a character only below 0x80.
    const bool byte = !braces && pattern_[at_ + 1] == 'x' && value >= 0x80;
    if (!complete || !scalar || byte || (caseless() && value >= 0x80)) refuse(end - at_, "is not a character");
    at_ = end + (braces ? 1 : 0);
    return {fmt::format("\\x{{{:X}}}", value)};
  }

  void char_class() {
    const size_t begin = at_;
    pass("[", "[");
    if (starts("^")) pass("^", "^");
    if (starts("]")) refuse(1, "is the first of a class: write \\]");
    bool any = false;
    while (at_ < pattern_.size() && pattern_[at_] != ']') {
      class_item(!any);
      any = true;
    }
    if (at_ >= pattern_.size()) {
      at_ = begin;
      refuse(1, "has no ]");
    }
    pass("]", "]");
    quantifier();
  }

  void class_item(bool first) {
    if (pattern_[at_] == '[') refuse(1, "opens a class inside a class");
    if (starts("&&")) refuse(2, "is an intersection of classes");
    if (pattern_[at_] == '-') {
      if (!first && !starts("-]")) refuse(1, "stands between what is not a range: write \\-");
      return pass("-", "\\-");
    }
    const Atom low = atom(true);
    result_.text += low.text;
    if (!starts("-") || starts("-]")) return;
    if (low.is_set) refuse(1, "follows a set of characters: write \\-");
    ++at_;
    if (at_ >= pattern_.size() || pattern_[at_] == '[') refuse(1, "is no end of a range");
    if (starts("\\s") || starts("\\d") || starts("\\p")) refuse(2, "is no end of a range");
    const Atom high = atom(true);
    result_.text += "-" + high.text;
  }

  std::string_view pattern_;
  size_t at_ = 0;
  size_t letter_ = std::string_view::npos - 1;  // the last letter without regard to case
  char last_letter_ = '\0';                     // the letter just before this piece
  std::vector<bool> groups_;                    // whether each open group disregards case
  TranslatedPattern result_;
};

}  // namespace

TranslatedPattern translate_pattern(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace terse::data
