// Each test is a function of the value and of one optional argument.
#include "data/chat/jinja/library/tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/chat/jinja/library/filters.h"
#include "data/chat/jinja/values/operators.h"

namespace terse::data::jinja {

namespace {

struct Test {
  std::string_view name;
  bool has_argument;
  bool (*holds)(Context& context, const Value& value, const Value& argument);
};

bool is_number(const Value& value) {
  return value.integer() != nullptr || value.real() != nullptr || value.boolean() != nullptr;
}

bool is_iterable(const Value& value) {
  return value.text() != nullptr || value.list() != nullptr || value.dict() != nullptr || value.is_undefined();
}

bool is_sequence(const Value& value) {
  return is_iterable(value) && (value.list() == nullptr || value.list()->has_indices());
}

int64_t remainder(Context& context, const Value& value, const Value& divisor) {
  const auto whole = whole_number(arithmetic(context, "%", value, divisor));
  if (!whole) context.fail("this test needs an int");
  return *whole;
}

// Returns whether all letters of ASCII text have one case and there is one, as str.islower() and str.isupper() do.
bool has_case(Context& context, const Value& value, char first, char last) {
  if (value.text() == nullptr) context.fail(fmt::format("this test needs a str, found a {}", type_name(value)));
  bool found = false;
  for (const char c : value.text()->bytes()) {
    if ((c & 0x80) != 0) context.refuse("testing the case of text that is not ASCII");
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter && (c < first || c > last)) return false;
    found = found || letter;
  }
  return found;
}

template <char kFirst, char kSecond>
bool compares(Context& context, const Value& value, const Value& argument) {
  constexpr char kSign[] = {kFirst, kSecond, 0};
  return compare(context, kSign, value, argument);
}

bool is_callable(const Value& value) {
  return value.macro() != nullptr || value.function() != nullptr;
}

// Python's `is`. Equal texts and numbers may be one object or two, which no template should depend on.
bool is_same(Context& context, const Value& value, const Value& argument) {
  if (value.is_none() || argument.is_none()) return value.is_none() && argument.is_none();
  if (value.boolean() != nullptr || argument.boolean() != nullptr) {
    return value.boolean() != nullptr && argument.boolean() != nullptr && *value.boolean() == *argument.boolean();
  }
  context.refuse("the test 'sameas' for values other than booleans and none");
}

const std::array<Test, 36> kTests = {{
    {"defined", false, [](Context&, const Value& v, const Value&) { return !v.is_undefined(); }},
    {"undefined", false, [](Context&, const Value& v, const Value&) { return v.is_undefined(); }},
    {"none", false, [](Context&, const Value& v, const Value&) { return v.is_none(); }},
    {"boolean", false, [](Context&, const Value& v, const Value&) { return v.boolean() != nullptr; }},
    {"true", false, [](Context&, const Value& v, const Value&) { return v.boolean() != nullptr && *v.boolean(); }},
    {"false", false, [](Context&, const Value& v, const Value&) { return v.boolean() != nullptr && !*v.boolean(); }},
    {"integer", false, [](Context&, const Value& v, const Value&) { return v.integer() != nullptr; }},
    {"float", false, [](Context&, const Value& v, const Value&) { return v.real() != nullptr; }},
    {"number", false, [](Context&, const Value& v, const Value&) { return is_number(v); }},
    {"string", false, [](Context&, const Value& v, const Value&) { return v.text() != nullptr; }},
    {"mapping", false, [](Context&, const Value& v, const Value&) { return v.dict() != nullptr; }},
    {"iterable", false, [](Context&, const Value& v, const Value&) { return is_iterable(v); }},
    {"sequence", false, [](Context&, const Value& v, const Value&) { return is_sequence(v); }},
    {"callable", false, [](Context&, const Value& v, const Value&) { return is_callable(v); }},
    {"odd", false, [](Context& c, const Value& v, const Value&) { return remainder(c, v, Value(int64_t{2})) == 1; }},
    {"even", false, [](Context& c, const Value& v, const Value&) { return remainder(c, v, Value(int64_t{2})) == 0; }},
    {"divisibleby", true, [](Context& c, const Value& v, const Value& a) { return remainder(c, v, a) == 0; }},
    {"lower", false, [](Context& c, const Value& v, const Value&) { return has_case(c, v, 'a', 'z'); }},
    {"upper", false, [](Context& c, const Value& v, const Value&) { return has_case(c, v, 'A', 'Z'); }},
    {"in", true, [](Context& c, const Value& v, const Value& a) { return contains(c, a, v); }},
    {"sameas", true, is_same},
    {"eq", true, compares<'=', '='>},
    {"equalto", true, compares<'=', '='>},
    {"==", true, compares<'=', '='>},
    {"ne", true, compares<'!', '='>},
    {"!=", true, compares<'!', '='>},
    {"lt", true, compares<'<', 0>},
    {"lessthan", true, compares<'<', 0>},
    {"<", true, compares<'<', 0>},
    {"le", true, compares<'<', '='>},
    {"<=", true, compares<'<', '='>},
    {"gt", true, compares<'>', 0>},
    {"greaterthan", true, compares<'>', 0>},
    {">", true, compares<'>', 0>},
    {"ge", true, compares<'>', '='>},
    {">=", true, compares<'>', '='>},
}};

const Test* find_test(std::string_view name) {
  const auto* found = std::find_if(kTests.begin(), kTests.end(), [&](const Test& test) { return test.name == name; });
  return found == kTests.end() ? nullptr : found;
}

}  // namespace

bool is_test(std::string_view name) {
  return find_test(name) != nullptr;
}

bool apply_test(Context& context, std::string_view name, const Value& value, const CallArguments& call) {
  context.spend();
  const Test& test = *find_test(name);
  const std::string what = fmt::format("the test '{}'", name);
  const std::vector<const char*> parameters = {"other"};
  const Arguments arguments(context, what, call, test.has_argument ? parameters : std::vector<const char*>(),
                            test.has_argument ? 1 : 0);
  return test.holds(context, value, test.has_argument ? arguments.value(0) : Value());
}

}  // namespace terse::data::jinja
