// Reads scalars, lists and maps strictly. A target is written only if the whole value is valid.
#include "configs/yaml/read_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <type_traits>

#include "configs/fields/field_text.h"
#include "configs/yaml/suggest.h"

namespace terse::configs {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

// [-] digits [. digits] [e [+-] digits], with digits on at least one side of the point.
bool looks_like_number(std::string_view text) {
  size_t i = text.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const size_t begin = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    return i - begin;
  };
  size_t mantissa = digits();
  if (i < text.size() && text[i] == '.') {
    ++i;
    mantissa += digits();
  }
  if (mantissa == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size();
}

bool has_leading_zero(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && is_digit(text[1]);
}

// Returns a hint for a number in another notation (1_000, +5, 0x10, nan), or "" when there is none.
std::string notation_hint(std::string_view text) {
  std::string bare;
  std::copy_if(text.begin(), text.end(), std::back_inserter(bare),
               [](char c) { return c != '_' && c != ',' && c != '\''; });
  if (bare != text && looks_like_number(bare)) return "; write " + bare + ", without separators";
  if (text.starts_with('+') && looks_like_number(text.substr(1))) return fmt::format("; write {}", text.substr(1));
  constexpr std::array<std::pair<std::string_view, int>, 3> kPrefixes = {{{"0x", 16}, {"0o", 8}, {"0b", 2}}};
  for (const auto& [prefix, base] : kPrefixes) {
    int64_t value = 0;
    const std::string digits = lower(text);
    if (!digits.starts_with(prefix)) continue;
    const auto [end, error] = std::from_chars(digits.data() + 2, digits.data() + digits.size(), value, base);
    if (error == std::errc() && end == digits.data() + digits.size())
      return fmt::format("; write it in decimal: {}", value);
  }
  const std::string word = lower(text);
  for (const std::string_view special :
       {"nan", ".nan", "inf", "-inf", "+inf", ".inf", "-.inf", "+.inf", "infinity", "-infinity"}) {
    if (word == special) return "; it must be finite";
  }
  return "";
}

std::string without_leading_zeros(std::string_view text) {
  std::string out = text.starts_with('-') ? "-" : "";
  text.remove_prefix(out.size());
  while (has_leading_zero(text)) text.remove_prefix(1);
  return out.append(text);
}

template <class T>
std::string read_in_range(std::string (*parse)(std::string_view, T&), std::string_view text, const Rule& rule, T& out) {
  T value{};
  if (std::string wrong = parse(text, value); !wrong.empty()) return wrong;
  if (std::string wrong = rule_violation({"", &value, "", rule}); !wrong.empty()) return wrong;
  out = value;
  return "";
}

std::string parse_text(const Node& node, std::string& out) {
  out = node.text;
  return "";
}
std::string parse_text(const Node& node, bool& out) {
  return parse_bool(node.text, out);
}
std::string parse_text(const Node& node, int64_t& out) {
  return parse_whole(node.text, out);
}
std::string parse_text(const Node& node, double& out) {
  return parse_number(node.text, out);
}

class Reader {
 public:
  Reader(const Rule& rule, const std::string& source, Mistakes& mistakes)
      : rule_(rule), source_(source), mistakes_(mistakes) {}

  // Reads a scalar. Writes `target` only when the value is valid.
  template <class T>
  bool read(T& target, const std::string& path, const Node& node, Mark key_mark) {
    T value{};
    const Field field{path, &value, "", rule_};
    constexpr bool kIsText = std::is_same_v<T, std::string>;
    if (node.kind == Node::Kind::kNull) {
      return fail(key_mark, path,
                  fmt::format("has no value: expected {}; {}", describe(field),
                              kIsText ? "write \"\" for an empty string" : "remove the line to keep the default"));
    }
    if (node.kind != Node::Kind::kScalar) {
      return fail(node.mark, path, fmt::format("expected {}, found {}", describe(field), shown(node)));
    }
    if (!kIsText && node.quoted) {
      return fail(node.mark, path,
                  fmt::format("expected {}, found {}; remove the quotes", describe(field), shown(node)));
    }
    if (const std::string wrong = parse_text(node, value); !wrong.empty()) return fail(node.mark, path, wrong);
    if (kIsText && !known(path, node.text, node.mark)) return false;
    if (const std::string wrong = rule_violation(field); !wrong.empty()) return fail(node.mark, path, wrong);
    target = std::move(value);
    return true;
  }

  bool read(std::vector<std::string>& target, const std::string& path, const Node& node, Mark key_mark) {
    if (node.kind != Node::Kind::kList) {
      const bool single = node.kind == Node::Kind::kScalar;
      return fail(node.mark.line ? node.mark : key_mark, path,
                  fmt::format("expected {}, found {}; write {}", describe({path, &target, "", rule_}), shown(node),
                              single ? "[" + node.text.substr(0, 60) + "]" : "[] for an empty list"));
    }
    std::vector<std::string> texts;
    bool good = true;
    for (const NodePtr& item : node.items) {
      if (item->kind != Node::Kind::kScalar) {
        good = fail(item->mark, path,
                    fmt::format("expected a string as element {}, found {}", texts.size() + 1, shown(*item)));
      } else {
        good = known(path, item->text, item->mark) && good;
      }
      texts.push_back(item->text);
    }
    if (good) target = std::move(texts);
    return good;
  }

  bool read(std::map<std::string, double>& target, const std::string& path, const Node& node, Mark key_mark) {
    if (node.kind != Node::Kind::kMap) {
      return fail(node.mark.line ? node.mark : key_mark, path,
                  fmt::format("expected {}, found {}; write {{}} for an empty map",
                              describe({path, &target, "", rule_}), shown(node)));
    }
    std::map<std::string, double> entries;
    bool good = true;
    for (const Entry& entry : node.entries)
      good = read_entry(entries, path, entry.key, *entry.value, entry.mark) && good;
    if (good) target = std::move(entries);
    return good;
  }

  bool read_entry(std::map<std::string, double>& target, const std::string& path, const std::string& key,
                  const Node& node, Mark key_mark) {
    if (!known(path, key, key_mark)) return false;
    double number = 0;
    Rule bounds = rule_;
    bounds.choices.clear();
    if (!Reader(bounds, source_, mistakes_).read(number, path + "." + key, node, key_mark)) return false;
    target[key] = number;
    return true;
  }

 private:
  bool fail(Mark mark, const std::string& path, const std::string& text) {
    mistakes_.push_back({source_, mark, path + ": " + text});
    return false;
  }

  bool known(const std::string& path, const std::string& text, Mark mark) {
    const std::vector<std::string>& choices = rule_.choices;
    if (choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end()) return true;
    const std::string near = nearest(text, choices);
    return fail(mark, path,
                fmt::format("unknown {}; {}expected {}", shown(text),
                            near.empty() ? "" : fmt::format("did you mean {}? ", near), describe_choices(rule_)));
  }

  const Rule& rule_;
  const std::string& source_;
  Mistakes& mistakes_;
};

}  // namespace

std::string parse_whole(std::string_view text, int64_t& out) {
  const std::string expected = fmt::format("expected a whole number, found {}", shown(text));
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (!all_digits(digits)) {
    double number = 0;
    if (!looks_like_number(text) || !parse_number(text, number).empty()) return expected + notation_hint(text);
    const bool exact = std::floor(number) == number && std::abs(number) < 0x1p53;
    if (!exact) return expected;
    return fmt::format("{}; write {}, without a decimal point or exponent", expected, static_cast<int64_t>(number));
  }
  if (has_leading_zero(text))
    return fmt::format("{}; write {}, without leading zeros", expected, without_leading_zeros(text));
  int64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) {
    return fmt::format("{} overflows: whole numbers have 64 bits, from -2^63 to 2^63 - 1", shown(text));
  }
  out = value;
  return "";
}

std::string parse_number(std::string_view text, double& out) {
  const std::string expected = fmt::format("expected a number, found {}", shown(text));
  if (!looks_like_number(text)) return expected + notation_hint(text);
  if (has_leading_zero(text))
    return fmt::format("{}; write {}, without leading zeros", expected, without_leading_zeros(text));
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view mantissa = text.substr(0, text.find_first_of("eE"));
  const bool is_zero = mantissa.find_first_of("123456789") == std::string_view::npos;
  // from_chars leaves 0 when the exponent is out of range. strtod then returns infinity or 0.
  if (!is_zero && (value == 0 || std::isinf(value))) value = std::strtod(std::string(text).c_str(), nullptr);
  if (std::isinf(value)) return fmt::format("{} overflows: the largest number is about 1.8e308", shown(text));
  if (value == 0 && !is_zero) return fmt::format("{} underflows to 0; write 0", shown(text));
  out = value;
  return "";
}

std::string parse_bool(std::string_view text, bool& out) {
  if (text == "true" || text == "false") {
    out = text == "true";
    return "";
  }
  const std::string word = lower(text);
  std::string hint;
  for (const std::string_view yes : {"yes", "on", "y", "1", "true", "t", "enabled"}) {
    if (word == yes) hint = "; write true";
  }
  for (const std::string_view no : {"no", "off", "n", "0", "false", "f", "disabled"}) {
    if (word == no) hint = "; write false";
  }
  return fmt::format("expected true or false, found {}{}", shown(text), hint);
}

std::string read_number(std::string_view text, const Rule& rule, int64_t& out) {
  return read_in_range(parse_whole, text, rule, out);
}

std::string read_number(std::string_view text, const Rule& rule, double& out) {
  return read_in_range(parse_number, text, rule, out);
}

bool read_value(const Field& field, const Node& node, const std::string& source, Mark key_mark, Mistakes& mistakes) {
  Reader reader(field.rule, source, mistakes);
  return std::visit([&](auto* target) { return reader.read(*target, field.path, node, key_mark); }, field.value);
}

bool read_entry(const Field& field, const std::string& key, const Node& node, const std::string& source, Mark key_mark,
                Mistakes& mistakes) {
  auto& target = *std::get<std::map<std::string, double>*>(field.value);
  return Reader(field.rule, source, mistakes).read_entry(target, field.path, key, node, key_mark);
}

}  // namespace terse::configs
