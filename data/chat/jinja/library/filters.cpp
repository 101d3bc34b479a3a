// Most filters are a line over the operations on text and values. Those on lists are in list_filters.cpp.
#include "data/chat/jinja/library/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "data/chat/jinja/library/list_filters.h"
#include "data/chat/jinja/values/letter_case.h"
#include "data/chat/jinja/values/operators.h"
#include "data/chat/jinja/values/python_text.h"
#include "data/chat/jinja/values/text_operations.h"

namespace terse::data::jinja {

namespace {

using Apply = Value (*)(Context& context, const Value& input, const Arguments& arguments);

struct Filter {
  std::string_view name;
  std::vector<const char*> parameters;
  size_t required;
  Apply apply;
};

Value trim(Context& context, const Value& input, const Arguments& arguments) {
  const bool has_characters = arguments.has(0) && !arguments.value(0).is_none();
  return Value(stripped(context, to_text(context, input), has_characters ? &arguments.text(0) : nullptr, true, true));
}

template <Case kCase>
Value change_case(Context& context, const Value& input, const Arguments&) {
  return Value(with_case(context, to_text(context, input), kCase, true));
}

Value default_value(Context&, const Value& input, const Arguments& arguments) {
  const bool replace = input.is_undefined() || (arguments.flag(1, false) && !truth(input));
  if (!replace) return input;
  return arguments.has(0) ? arguments.value(0) : Value(Text());
}

Value length_of(Context& context, const Value& input, const Arguments&) {
  return Value(length(context, input));
}

Value to_string(Context& context, const Value& input, const Arguments&) {
  if (input.text() != nullptr) return input;
  return Value(to_text(context, input));
}

Value mark_safe(Context& context, const Value& input, const Arguments&) {
  Text text = to_text(context, input);
  text.set_markup();
  return Value(std::move(text));
}

Value to_list(Context& context, const Value& input, const Arguments&) {
  return make_list(context, iterate(context, input));
}

Value items_of(Context& context, const Value& input, const Arguments&) {
  std::vector<Value> items;
  if (input.dict() == nullptr && !input.is_undefined()) {
    context.fail(fmt::format("the filter 'items' needs a dict, found a {}", type_name(input)));
  }
  if (input.dict() != nullptr) {
    for (const auto& [key, value] : input.dict()->items) {
      items.push_back(make_list(context, {key, value}, ListKind::kTuple));
    }
  }
  return make_list(context, std::move(items), ListKind::kIterator);
}

Value first_item(Context& context, const Value& input, const Arguments&) {
  const std::vector<Value> items = iterate(context, input);
  return items.empty() ? Value::undefined("the first of no items") : items.front();
}

Value last_item(Context& context, const Value& input, const Arguments&) {
  if (input.list() != nullptr && input.list()->is_iterator()) context.fail("the filter 'last' needs a list");
  const std::vector<Value> items = iterate(context, input);
  return items.empty() ? Value::undefined("the last of no items") : items.back();
}

Value join(Context& context, const Value& input, const Arguments& arguments) {
  std::vector<Value> items = iterate(context, input);
  if (arguments.has(1) && !arguments.value(1).is_none()) {
    CallArguments call;
    call.named.emplace_back("attribute", arguments.value(1));
    items = iterate(context, map_items(context, make_list(context, std::move(items)), call));
  }
  return Value(joined(context, items, arguments.has(0) ? to_text(context, arguments.value(0)) : Text()));
}

Value replace(Context& context, const Value& input, const Arguments& arguments) {
  const int64_t most = arguments.has(2) && !arguments.value(2).is_none() ? arguments.integer(2, -1) : -1;
  return Value(replaced(context, to_text(context, input), to_text(context, arguments.value(0)),
                        to_text(context, arguments.value(1)), most));
}

Value reverse(Context& context, const Value& input, const Arguments&) {
  const Value none, back(int64_t{-1});
  if (input.text() != nullptr) return Value(sliced(context, *input.text(), none, none, back));
  std::vector<Value> items = iterate(context, input);
  std::reverse(items.begin(), items.end());
  return make_list(context, std::move(items), ListKind::kIterator);
}

// Indents every line but the first, and none that is empty, unless the arguments say so.
Value indent(Context& context, const Value& input, const Arguments& arguments) {
  Text text = to_text(context, input);
  const bool is_text = arguments.has(0) && arguments.value(0).text() != nullptr;
  const Text indentation = is_text ? arguments.text(0) : repeated(context, Text(" "), arguments.integer(0, 4));
  const bool blank = arguments.flag(2, false);
  text.append("\n");
  Text result;
  bool is_first = true;
  for (const Text& line : lines(context, text)) {
    context.spend(weight(indentation) + weight(line));
    if (!is_first) result.append("\n");
    if (is_first ? arguments.flag(1, false) : blank || line.size() > 0) result.append(indentation);
    result.append(line);
    is_first = false;
  }
  return Value(std::move(result));
}

Value json(Context& context, const Value& input, const Arguments& arguments) {
  JsonStyle style;
  style.ensure_ascii = arguments.flag(0, false);
  const bool has_indent = arguments.has(1) && !arguments.value(1).is_none();
  if (has_indent && arguments.value(1).text() != nullptr) {
    style.indent = arguments.text(1).bytes();
  } else if (has_indent) {
    style.indent = std::string(static_cast<size_t>(std::clamp<int64_t>(arguments.integer(1, 0), 0, 1000)), ' ');
  }
  if (style.indent) style.item_separator.pop_back();  // the new line takes the place of the space
  if (arguments.has(2) && !arguments.value(2).is_none()) {
    const std::vector<Value> separators = iterate(context, arguments.value(2));
    const bool two = separators.size() == 2 && separators[0].text() != nullptr && separators[1].text() != nullptr;
    if (!two) context.fail("the separators of tojson must be two texts");
    style.item_separator = separators[0].text()->bytes();
    style.key_separator = separators[1].text()->bytes();
  }
  style.sort_keys = arguments.flag(3, false);
  return Value(to_json(context, input, style));
}

// Python's int() and float() allow white space around the number.
std::string_view number_text(const Text& text) {
  const std::string_view bytes = text.bytes();
  const size_t end = end_without_white_space(bytes);
  return bytes.substr(0, end).substr(skip_white_space(bytes.substr(0, end)));
}

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = !text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

Value to_integer(Context& context, const Value& input, const Arguments& arguments) {
  if (arguments.integer(1, 10) != 10) context.refuse("the filter 'int' with another base than 10");
  if (const auto whole = whole_number(input)) return Value(*whole);
  std::optional<double> real = number(input);
  if (input.text() != nullptr) {
    const std::string_view text = number_text(*input.text());
    if (const auto whole = parse_number<int64_t>(text)) return Value(*whole);
    real = parse_number<double>(text);
  }
  if (real && std::isfinite(*real)) {
    if (std::abs(*real) >= 9.2e18) context.fail("the result of the filter 'int' is too large");
    return Value(static_cast<int64_t>(*real));
  }
  return arguments.has(0) ? arguments.value(0) : Value(int64_t{0});
}

Value to_float(Context&, const Value& input, const Arguments& arguments) {
  if (const auto real = number(input)) return Value(*real);
  if (input.text() != nullptr) {
    if (const auto real = parse_number<double>(number_text(*input.text()))) return Value(*real);
  }
  return arguments.has(0) ? arguments.value(0) : Value(0.0);
}

Value absolute(Context& context, const Value& input, const Arguments&) {
  const auto real = number(input);
  if (!real) context.fail(fmt::format("the filter 'abs' needs a number, found a {}", type_name(input)));
  return *real < 0 ? negative(context, input) : input;
}

// Rounds to whole numbers only: more digits would need Python's exact decimal rounding.
Value round_number(Context& context, const Value& input, const Arguments& arguments) {
  const auto real = number(input);
  if (!real) context.fail(fmt::format("the filter 'round' needs a number, found a {}", type_name(input)));
  if (arguments.integer(0, 0) != 0) context.refuse("the filter 'round' with a precision");
  const std::string method = arguments.has(1) ? arguments.text(1).bytes() : "common";
  if (method == "common") return input.real() == nullptr ? input : Value(std::nearbyint(*real));
  if (method == "ceil") return Value(std::ceil(*real));
  if (method == "floor") return Value(std::floor(*real));
  context.fail("the method of the filter 'round' is common, ceil or floor");
}

Value largest(Context& context, const Value& input, const Arguments& arguments) {
  return extreme_item(context, input, arguments, true);
}

Value smallest(Context& context, const Value& input, const Arguments& arguments) {
  return extreme_item(context, input, arguments, false);
}

const std::array<Filter, 30> kFilters = {{{"trim", {"chars"}, 0, trim},
                                          {"upper", {}, 0, change_case<Case::kUpper>},
                                          {"lower", {}, 0, change_case<Case::kLower>},
                                          {"capitalize", {}, 0, change_case<Case::kCapitalized>},
                                          {"title", {}, 0, change_case<Case::kTitle>},
                                          {"default", {"default_value", "boolean"}, 0, default_value},
                                          {"d", {"default_value", "boolean"}, 0, default_value},
                                          {"length", {}, 0, length_of},
                                          {"count", {}, 0, length_of},
                                          {"string", {}, 0, to_string},
                                          {"safe", {}, 0, mark_safe},
                                          {"list", {}, 0, to_list},
                                          {"items", {}, 0, items_of},
                                          {"first", {}, 0, first_item},
                                          {"last", {}, 0, last_item},
                                          {"join", {"d", "attribute"}, 0, join},
                                          {"replace", {"old", "new", "count"}, 2, replace},
                                          {"reverse", {}, 0, reverse},
                                          {"indent", {"width", "first", "blank"}, 0, indent},
                                          {"tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, 0, json},
                                          {"int", {"default", "base"}, 0, to_integer},
                                          {"float", {"default"}, 0, to_float},
                                          {"abs", {}, 0, absolute},
                                          {"round", {"precision", "method"}, 0, round_number},
                                          {"sort", {"reverse", "case_sensitive", "attribute"}, 0, sort_items},
                                          {"dictsort", {"case_sensitive", "by", "reverse"}, 0, sort_dict},
                                          {"unique", {"case_sensitive", "attribute"}, 0, unique_items},
                                          {"max", {"case_sensitive", "attribute"}, 0, largest},
                                          {"min", {"case_sensitive", "attribute"}, 0, smallest},
                                          {"sum", {"attribute", "start"}, 0, sum_items}}};

constexpr std::array<std::string_view, 5> kWithOpenArguments = {"map", "select", "reject", "selectattr", "rejectattr"};

const Filter* find_filter(std::string_view name) {
  for (const Filter& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return nullptr;
}

}  // namespace

bool is_filter(std::string_view name) {
  const bool open = std::find(kWithOpenArguments.begin(), kWithOpenArguments.end(), name) != kWithOpenArguments.end();
  return open || find_filter(name) != nullptr;
}

Value apply_filter(Context& context, std::string_view name, const Value& input, const CallArguments& call) {
  const Nesting nesting(context);
  context.spend();
  if (const Filter* filter = find_filter(name)) {
    const std::string what = fmt::format("the filter '{}'", name);
    return filter->apply(context, input, Arguments(context, what, call, filter->parameters, filter->required));
  }
  if (name == "map") return map_items(context, input, call);
  return select_items(context, input, call, name.starts_with("select"), name.ends_with("attr"));
}

}  // namespace terse::data::jinja
