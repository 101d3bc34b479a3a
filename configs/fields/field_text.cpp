// Formats field values and rules. Numbers are printed with as many digits as it takes to read back the same bits.
#include "configs/fields/field_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace terse::configs {
namespace {

// YAML 1.1 readers do not read these plain words as text.
constexpr std::array<std::string_view, 10> kReserved = {"true", "false", "yes", "no", "on",
                                                        "off",  "null",  "y",   "n",  "nan"};

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '/';
}

bool safe_unquoted(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_word_character)) return false;
  // Text that starts like a number may be read as one. "..." and "---" end a document.
  const bool starts_safely = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') || text[0] == '/';
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return starts_safely && std::find(kReserved.begin(), kReserved.end(), lower) == kReserved.end();
}

// Escapes with the sequences that YAML and JSON share.
std::string escaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '"' || byte == '\\') {
      out += {'\\', static_cast<char>(byte)};
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[++i]));  // U+0080..U+009F: control characters
    } else if (text.substr(i, 3) == "\u2028" || text.substr(i, 3) == "\u2029" || text.substr(i, 3) == "\ufeff") {
      out += text[i] == '\xe2' ? fmt::format("\\u{:04x}", 0x2000 + (static_cast<unsigned char>(text[i + 2]) & 0x3f))
                               : "\\ufeff";
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Formats a bound in plain digits: 131072, not 1.31072e+05.
std::string bound(double value) {
  if (std::floor(value) == value && std::abs(value) < 1e15) return fmt::format("{}", static_cast<int64_t>(value));
  return fmt::format("{}", value);
}

std::string range_violation(const Rule& rule, double value) {
  if (!in_range(rule, value)) return fmt::format("{} is out of range: expected {}", bound(value), describe_range(rule));
  using Fp32 = std::numeric_limits<float>;
  if (std::abs(value) > Fp32::max())
    return fmt::format("{} is too large for fp32, in which numbers are used: the largest is about 3.4e38", value);
  if (value != 0 && std::abs(value) < Fp32::min())
    return fmt::format("{} is too close to 0 for fp32, in which numbers are used: the smallest is about 1.2e-38",
                       value);
  if (!in_range(rule, static_cast<float>(value)))
    return fmt::format("{} is {} in fp32, in which numbers are used: expected {}", value, static_cast<float>(value),
                       describe_range(rule));
  return "";
}

std::string choice_violation(const Rule& rule, const std::string& text) {
  if (rule.choices.empty() || std::find(rule.choices.begin(), rule.choices.end(), text) != rule.choices.end())
    return "";
  return fmt::format("{} is unknown: expected {}", shown(text), describe_choices(rule));
}

}  // namespace

std::string_view describe_type(const ValuePtr& value) {
  return std::visit(
      Overloaded{[](bool*) { return std::string_view("true or false"); },
                 [](int64_t*) { return std::string_view("a whole number"); },
                 [](double*) { return std::string_view("a number"); },
                 [](std::string*) { return std::string_view("a string"); },
                 [](std::vector<std::string>*) { return std::string_view("a list of strings"); },
                 [](std::map<std::string, double>*) { return std::string_view("a map from names to numbers"); }},
      value);
}

std::string describe_choices(const Rule& rule) {
  if (rule.choices.size() == 1) return rule.choices[0];
  return fmt::format("one of {}", fmt::join(rule.choices, ", "));
}

std::string describe_range(const Rule& rule) {
  const bool has_min = std::isfinite(rule.min);
  const bool has_max = std::isfinite(rule.max);
  if (has_min && has_max) {
    return fmt::format("{} {} {} {}", rule.min_excluded ? "above" : "from", bound(rule.min),
                       rule.max_excluded ? "to below" : "to", bound(rule.max));
  }
  if (has_min) return fmt::format("{} {}", rule.min_excluded ? "above" : "at least", bound(rule.min));
  if (has_max) return fmt::format("{} {}", rule.max_excluded ? "below" : "at most", bound(rule.max));
  return "";
}

std::string describe(const Field& field) {
  const std::string choices = fmt::format("{}", fmt::join(field.rule.choices, ", "));
  if (std::holds_alternative<std::string*>(field.value) && !choices.empty()) return describe_choices(field.rule);
  std::string text(describe_type(field.value));
  const bool is_map = std::holds_alternative<std::map<std::string, double>*>(field.value);
  if (is_map && !choices.empty()) text = "a map from any of " + choices + " to numbers";
  if (std::holds_alternative<std::vector<std::string>*>(field.value) && !choices.empty())
    text = "a list of any of " + choices;
  const std::string range = describe_range(field.rule);
  return range.empty() ? text : text + ", " + range;
}

bool in_range(const Rule& rule, double value) {
  const bool above_min = rule.min_excluded ? value > rule.min : value >= rule.min;
  const bool below_max = rule.max_excluded ? value < rule.max : value <= rule.max;
  return above_min && below_max;  // false for NaN
}

std::string rule_violation(const Field& field) {
  const Rule& rule = field.rule;
  return std::visit(Overloaded{[](bool*) { return std::string(); },
                               [&](int64_t* v) {
                                 // The message prints the integer itself, because a double cannot represent every
                                 // integer beyond 2^53.
                                 if (in_range(rule, static_cast<double>(*v))) return std::string();
                                 return fmt::format("{} is out of range: expected {}", *v, describe_range(rule));
                               },
                               [&](double* v) { return range_violation(rule, *v); },
                               [&](std::string* v) { return choice_violation(rule, *v); },
                               [&](std::vector<std::string>* v) {
                                 for (const std::string& element : *v) {
                                   if (std::string text = choice_violation(rule, element); !text.empty()) return text;
                                 }
                                 return std::string();
                               },
                               [&](std::map<std::string, double>* v) {
                                 for (const auto& [key, number] : *v) {
                                   if (std::string text = choice_violation(rule, key); !text.empty()) return text;
                                   if (std::string text = range_violation(rule, number); !text.empty())
                                     return key + ": " + text;
                                 }
                                 return std::string();
                               }},
                    field.value);
}

std::string value_text(const ValuePtr& value) {
  return std::visit(
      Overloaded{[](bool* v) { return std::string(*v ? "true" : "false"); },
                 [](int64_t* v) { return fmt::format("{}", *v); },  //
                 [](double* v) { return fmt::format("{}", *v); }, [](std::string* v) { return quoted_if_needed(*v); },
                 [](std::vector<std::string>* v) {
                   std::vector<std::string> items;
                   for (const std::string& text : *v) items.push_back(quoted_if_needed(text));
                   return fmt::format("[{}]", fmt::join(items, ", "));
                 },
                 [](std::map<std::string, double>* v) {
                   std::vector<std::string> items;
                   for (const auto& [key, number] : *v)
                     items.push_back(fmt::format("{}: {}", quoted_if_needed(key), number));
                   return fmt::format("{{{}}}", fmt::join(items, ", "));
                 }},
      value);
}

std::string quoted_if_needed(std::string_view text) {
  return safe_unquoted(text) ? std::string(text) : "\"" + escaped(text) + "\"";
}

std::string shown(std::string_view text) {
  constexpr size_t kMost = 60;
  if (text.size() <= kMost) return "'" + escaped(text) + "'";
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a UTF-8 sequence
  return "'" + escaped(text.substr(0, end)) + "...'";
}

}  // namespace terse::configs
