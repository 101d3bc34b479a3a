// An attribute that Python's types have and terse does not know must be refused: Jinja2 would use it, while a value
// that is undefined would change the output without a word.
#include "data/chat/jinja/library/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/chat/jinja/values/letter_case.h"
#include "data/chat/jinja/values/python_text.h"
#include "data/chat/jinja/values/text_operations.h"

namespace terse::data::jinja {

namespace {

using Call = Value (*)(Context& context, const Value& self, const Arguments& arguments);

struct Method {
  std::string_view name;
  std::vector<const char*> parameters;
  size_t required;
  Call call;
};

const Text* optional_text(const Arguments& arguments, size_t i) {
  return arguments.has(i) && !arguments.value(i).is_none() ? &arguments.text(i) : nullptr;
}

template <bool kLeft, bool kRight>
Value strip(Context& context, const Value& self, const Arguments& arguments) {
  return Value(stripped(context, *self.text(), optional_text(arguments, 0), kLeft, kRight));
}

template <bool kFromRight>
Value split_text(Context& context, const Value& self, const Arguments& arguments) {
  const int64_t most = arguments.integer(1, -1);
  return make_list(context, split(context, *self.text(), optional_text(arguments, 0), most, kFromRight));
}

// Returns whether the text starts or ends with the argument, or with one of the texts in the tuple.
template <bool kAtStart>
Value has_affix(Context& context, const Value& self, const Arguments& arguments) {
  const std::string& text = self.text()->bytes();
  const auto matches = [&](const Value& affix) {
    if (affix.text() == nullptr) context.fail("startswith() and endswith() take a str or a tuple of them");
    context.spend(affix.text()->size());
    return kAtStart ? text.starts_with(affix.text()->bytes()) : text.ends_with(affix.text()->bytes());
  };
  const Value& affix = arguments.value(0);
  if (affix.list() == nullptr || !affix.list()->is_tuple()) return Value(matches(affix));
  return Value(std::any_of(affix.list()->items.begin(), affix.list()->items.end(), matches));
}

template <Case kCase>
Value change_case(Context& context, const Value& self, const Arguments&) {
  return Value(with_case(context, *self.text(), kCase, false));
}

void refuse_markup(Context& context, const Value& self, const char* method) {
  if (self.text()->is_markup()) context.refuse(fmt::format("{}() after the filter safe", method));
}

Value replace(Context& context, const Value& self, const Arguments& arguments) {
  refuse_markup(context, self, "replace");
  return Value(replaced(context, *self.text(), arguments.text(0), arguments.text(1), arguments.integer(2, -1)));
}

Value join(Context& context, const Value& self, const Arguments& arguments) {
  refuse_markup(context, self, "join");
  const std::vector<Value> items = iterate(context, arguments.value(0));
  for (const Value& item : items) {
    if (item.text() == nullptr) context.fail(fmt::format("join() found a {} among the texts", type_name(item)));
  }
  return Value(joined(context, items, *self.text()));
}

int64_t characters_before(const std::string& bytes, size_t end) {
  return std::count_if(bytes.begin(), bytes.begin() + static_cast<int64_t>(end),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

template <bool kFromRight>
Value find_text(Context& context, const Value& self, const Arguments& arguments) {
  const std::string& text = self.text()->bytes();
  const std::string& wanted = arguments.text(0).bytes();
  context.spend_search(text.size(), wanted.size());
  const size_t at = kFromRight ? text.rfind(wanted) : text.find(wanted);
  return Value(at == std::string::npos ? int64_t{-1} : characters_before(text, at));
}

Value count_text(Context& context, const Value& self, const Arguments& arguments) {
  const std::string& text = self.text()->bytes();
  const std::string& wanted = arguments.text(0).bytes();
  context.spend_search(text.size(), wanted.size());
  if (wanted.empty()) return Value(characters_before(text, text.size()) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = text.find(wanted, at)) != std::string::npos; at += wanted.size()) ++count;
  return Value(count);
}

Value split_lines(Context& context, const Value& self, const Arguments&) {
  std::vector<Value> items;
  for (Text& line : lines(context, *self.text())) items.emplace_back(std::move(line));
  return make_list(context, std::move(items));
}

Value remove_prefix(Context&, const Value& self, const Arguments& arguments) {
  const bool found = self.text()->bytes().starts_with(arguments.text(0).bytes());
  return Value(self.text()->slice(found ? arguments.text(0).size() : 0, self.text()->size()));
}

Value remove_suffix(Context&, const Value& self, const Arguments& arguments) {
  const bool found = self.text()->bytes().ends_with(arguments.text(0).bytes());
  return Value(self.text()->slice(0, self.text()->size() - (found ? arguments.text(0).size() : 0)));
}

template <bool kDigits>
Value is_all(Context& context, const Value& self, const Arguments&) {
  const std::string& text = self.text()->bytes();
  context.spend(text.size());
  if (!kDigits) return Value(!text.empty() && skip_white_space(text) == text.size());
  const bool ascii = std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
  if (!ascii) context.refuse("isdigit() of text that is not ASCII");
  return Value(!text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }));
}

Value get(Context& context, const Value& self, const Arguments& arguments) {
  const Value& key = arguments.value(0);
  if (key.list() != nullptr || key.dict() != nullptr) {
    context.fail(fmt::format("a {} cannot be the key of a dict", type_name(key)));
  }
  if (const Value* found = find(context, *self.dict(), key)) return *found;
  return arguments.has(1) ? arguments.value(1) : Value();
}

template <bool kKeys, bool kValues>
Value parts_of_dict(Context& context, const Value& self, const Arguments&) {
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict()->items) {
    items.push_back(!kValues ? key : !kKeys ? value : make_list(context, {key, value}, ListKind::kTuple));
  }
  return make_list(context, std::move(items), ListKind::kView);
}

Value copy(Context&, const Value& self, const Arguments&) {
  return self;
}

Value count_items(Context& context, const Value& self, const Arguments& arguments) {
  const auto& items = self.list()->items;
  return Value(static_cast<int64_t>(std::count_if(
      items.begin(), items.end(), [&](const Value& item) { return equal(context, item, arguments.value(0)); })));
}

Value index_of(Context& context, const Value& self, const Arguments& arguments) {
  const auto& items = self.list()->items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (equal(context, items[i], arguments.value(0))) return Value(static_cast<int64_t>(i));
  }
  context.fail("index() found no such item in the list");
}

const std::array<Method, 21> kOfText = {{{"strip", {"chars"}, 0, strip<true, true>},
                                         {"lstrip", {"chars"}, 0, strip<true, false>},
                                         {"rstrip", {"chars"}, 0, strip<false, true>},
                                         {"split", {"sep", "maxsplit"}, 0, split_text<false>},
                                         {"rsplit", {"sep", "maxsplit"}, 0, split_text<true>},
                                         {"splitlines", {}, 0, split_lines},
                                         {"startswith", {"prefix"}, 1, has_affix<true>},
                                         {"endswith", {"suffix"}, 1, has_affix<false>},
                                         {"removeprefix", {"prefix"}, 1, remove_prefix},
                                         {"removesuffix", {"suffix"}, 1, remove_suffix},
                                         {"upper", {}, 0, change_case<Case::kUpper>},
                                         {"lower", {}, 0, change_case<Case::kLower>},
                                         {"capitalize", {}, 0, change_case<Case::kCapitalized>},
                                         {"title", {}, 0, change_case<Case::kTitle>},
                                         {"replace", {"old", "new", "count"}, 2, replace},
                                         {"join", {"iterable"}, 1, join},
                                         {"find", {"sub"}, 1, find_text<false>},
                                         {"rfind", {"sub"}, 1, find_text<true>},
                                         {"count", {"sub"}, 1, count_text},
                                         {"isdigit", {}, 0, is_all<true>},
                                         {"isspace", {}, 0, is_all<false>}}};

const std::array<Method, 5> kOfDict = {{{"get", {"key", "default"}, 1, get},
                                        {"items", {}, 0, parts_of_dict<true, true>},
                                        {"keys", {}, 0, parts_of_dict<true, false>},
                                        {"values", {}, 0, parts_of_dict<false, true>},
                                        {"copy", {}, 0, copy}}};

const std::array<Method, 3> kOfList = {
    {{"count", {"value"}, 1, count_items}, {"index", {"value"}, 1, index_of}, {"copy", {}, 0, copy}}};

// What else Python's types have. Using it would need code that does not exist here.
constexpr std::string_view kUnknown =
    " casefold center encode expandtabs format_map index rindex isalnum isalpha isascii isdecimal isidentifier "
    "islower isnumeric isprintable istitle isupper ljust rjust maketrans partition rpartition swapcase translate "
    "zfill fromkeys bit_count bit_length conjugate denominator from_bytes imag numerator real to_bytes "
    "as_integer_ratio "
    "is_integer hex fromhex ";
constexpr std::string_view kChanging = " append extend insert remove reverse sort pop popitem clear update setdefault ";

bool has_word(std::string_view words, std::string_view word) {
  return words.find(fmt::format(" {} ", word)) != std::string_view::npos;
}

const Method* known_method(const Value& value, std::string_view name) {
  const auto search = [&](const auto& methods) -> const Method* {
    for (const Method& method : methods) {
      if (method.name == name) return &method;
    }
    return nullptr;
  };
  if (value.text() != nullptr) return search(kOfText);
  if (value.dict() != nullptr) return search(kOfDict);
  if (value.list() != nullptr && value.list()->has_indices()) return search(kOfList);
  return nullptr;
}

bool is_format(const Value& value, std::string_view name) {
  return value.text() != nullptr && name == "format";
}

// Returns what a field of a format stands for.
Value format_field(Context& context, const std::string& field, size_t& next, const CallArguments& arguments) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (field.empty() || (field.size() < 4 && std::all_of(field.begin(), field.end(), is_digit))) {
    const size_t i = field.empty() ? next++ : static_cast<size_t>(std::stoul(field));
    if (i >= arguments.positional.size()) context.fail("format() has more fields than arguments");
    return arguments.positional[i];
  }
  if (field.find_first_of("!:.[{") != std::string::npos)
    context.refuse(fmt::format("the field {{{}}} in format()", field));
  for (const auto& [name, value] : arguments.named) {
    if (name == field) return value;
  }
  context.fail(fmt::format("format() has no argument '{}'", field));
}

// Fills the fields {}, {0} and {name} of a format. str.format() can do more, which is refused.
Value format_text(Context& context, const Value& self, const CallArguments& arguments) {
  refuse_markup(context, self, "format");
  const Text& format = *self.text();
  const std::string& bytes = format.bytes();
  Text result;
  size_t next = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t brace = std::min(bytes.find_first_of("{}", at), bytes.size());
    result.append(format, at, brace);
    if (brace == bytes.size()) break;
    at = brace + 1;
    if (at < bytes.size() && bytes[at] == bytes[brace]) {
      result.append(format, brace, at++);
      continue;
    }
    const size_t end = bytes.find('}', at);
    if (bytes[brace] == '}' || end == std::string::npos) context.fail("format() found a brace without its partner");
    const Text value = to_text(context, format_field(context, bytes.substr(at, end - at), next, arguments));
    context.spend(weight(value));
    result.append(value);
    at = end + 1;
  }
  return Value(std::move(result));
}

// loop.cycle() and loop.changed() take any number of arguments.
Value call_loop_method(Context& context, const Loop& loop, std::string_view name, const CallArguments& arguments) {
  const auto& values = arguments.positional;
  if (name == "cycle") {
    if (values.empty()) context.fail("loop.cycle() needs an argument");
    return values[static_cast<size_t>(loop.index0) % values.size()];
  }
  bool same = loop.seen && loop.seen->size() == values.size();
  for (size_t i = 0; same && i < values.size(); ++i) same = equal(context, (*loop.seen)[i], values[i]);
  for (const Value& value : values) check_part(context, value);
  loop.seen = values;
  return Value(!same);
}

}  // namespace

bool is_method(Context& context, const Value& value, std::string_view name) {
  if (value.loop() != nullptr) return name == "cycle" || name == "changed";
  if (known_method(value, name) != nullptr || is_format(value, name)) return true;
  const bool can_change = value.list() != nullptr || value.dict() != nullptr;
  if (can_change && has_word(kChanging, name)) {
    context.fail(fmt::format("{}() is not allowed: a template may not change a {}", name, type_name(value)));
  }
  // A dict has only the methods above, so any other name is one of its keys.
  const bool has_others = value.text() != nullptr || number(value).has_value();
  if (has_others && has_word(kUnknown, name)) context.refuse(fmt::format("{}.{}", type_name(value), name));
  return false;
}

Value call_method(Context& context, const Value& value, std::string_view name, const CallArguments& arguments) {
  context.spend();
  if (const Loop* loop = value.loop()) return call_loop_method(context, *loop, name, arguments);
  if (is_format(value, name)) return format_text(context, value, arguments);
  const Method* method = known_method(value, name);
  if (method == nullptr) context.fail(fmt::format("a {} has no method '{}'", type_name(value), name));
  const std::string what = fmt::format("{}.{}()", type_name(value), name);
  return method->call(context, value, Arguments(context, what, arguments, method->parameters, method->required));
}

}  // namespace terse::data::jinja
