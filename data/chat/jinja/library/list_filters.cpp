// Orders as Jinja2 does: stably, and without regard to case unless `case_sensitive` is set.
#include "data/chat/jinja/library/list_filters.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/chat/jinja/library/access.h"
#include "data/chat/jinja/library/filters.h"
#include "data/chat/jinja/library/tests.h"
#include "data/chat/jinja/values/letter_case.h"
#include "data/chat/jinja/values/operators.h"

namespace terse::data::jinja {

namespace {

// Returns what an item is ordered by.
Value order_key(Context& context, const Value& item, const Arguments& arguments, size_t case_sensitive,
                size_t attribute) {
  const bool has_attribute = arguments.has(attribute) && !arguments.value(attribute).is_none();
  Value key = has_attribute ? follow(context, item, arguments.value(attribute)) : item;
  if (key.text() == nullptr || arguments.flag(case_sensitive, false)) return key;
  return Value(with_case(context, *key.text(), Case::kLower, false));
}

struct Keyed {
  Value key;
  Value item;
};

Value in_order(Context& context, std::vector<Keyed> items, bool reverse) {
  // A comparison that fails leaves by an exception, so less() need not be an order of all values.
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& left, const Keyed& right) {
    return reverse ? less(context, right.key, left.key) : less(context, left.key, right.key);
  });
  std::vector<Value> sorted;
  for (Keyed& keyed : items) sorted.push_back(std::move(keyed.item));
  return make_list(context, std::move(sorted));
}

// Takes the first argument away, which must be there.
Value take_first(Context& context, CallArguments& call, const char* what) {
  if (call.positional.empty()) context.fail(fmt::format("{} lacks its first argument", what));
  Value first = call.positional.front();
  call.positional.erase(call.positional.begin());
  return first;
}

}  // namespace

Value map_items(Context& context, const Value& input, const CallArguments& call) {
  std::vector<Value> items;
  if (!truth(input)) return make_list(context, {}, ListKind::kIterator);
  if (call.positional.empty()) {
    const Arguments arguments(context, "the filter 'map'", call, {"attribute", "default"}, 1);
    for (const Value& item : iterate(context, input)) {
      const bool has_default = arguments.has(1) && !arguments.value(1).is_none();
      items.push_back(follow(context, item, arguments.value(0), has_default ? &arguments.value(1) : nullptr));
    }
  } else {
    CallArguments rest = call;
    const Value name = take_first(context, rest, "the filter 'map'");
    if (name.text() == nullptr || !is_filter(name.text()->bytes())) context.refuse("this filter inside of map");
    for (const Value& item : iterate(context, input)) {
      items.push_back(apply_filter(context, name.text()->bytes(), item, rest));
    }
  }
  return make_list(context, std::move(items), ListKind::kIterator);
}

Value select_items(Context& context, const Value& input, const CallArguments& call, bool keep, bool by_attribute) {
  CallArguments rest = call;
  const Value path = by_attribute ? take_first(context, rest, "the filter 'selectattr' or 'rejectattr'") : Value();
  std::string test;
  if (!rest.positional.empty()) {
    const Value name = take_first(context, rest, "select");
    if (name.text() == nullptr || !is_test(name.text()->bytes())) context.refuse("this test inside of a filter");
    test = name.text()->bytes();
  }
  std::vector<Value> items;
  if (!truth(input)) return make_list(context, {}, ListKind::kIterator);
  for (Value& item : iterate(context, input)) {
    const Value tested = by_attribute ? follow(context, item, path) : item;
    const bool holds = test.empty() ? truth(tested) : apply_test(context, test, tested, rest);
    if (holds == keep) items.push_back(std::move(item));
  }
  return make_list(context, std::move(items), ListKind::kIterator);
}

Value sort_items(Context& context, const Value& input, const Arguments& arguments) {
  std::vector<Keyed> items;
  for (Value& item : iterate(context, input)) {
    Value key = order_key(context, item, arguments, 1, 2);
    items.push_back({std::move(key), std::move(item)});
  }
  return in_order(context, std::move(items), arguments.flag(0, false));
}

Value sort_dict(Context& context, const Value& input, const Arguments& arguments) {
  if (input.dict() == nullptr) context.fail(fmt::format("dictsort needs a dict, found a {}", type_name(input)));
  const std::string by = arguments.has(1) ? arguments.text(1).bytes() : "key";
  if (by != "key" && by != "value") context.fail("dictsort sorts by 'key' or 'value'");
  std::vector<Keyed> items;
  for (const auto& [key, value] : input.dict()->items) {
    Value order = by == "key" ? key : value;
    if (order.text() != nullptr && !arguments.flag(0, false)) {
      order = Value(with_case(context, *order.text(), Case::kLower, false));
    }
    items.push_back({std::move(order), make_list(context, {key, value}, ListKind::kTuple)});
  }
  return in_order(context, std::move(items), arguments.flag(2, false));
}

Value unique_items(Context& context, const Value& input, const Arguments& arguments) {
  std::vector<Value> keys, items;
  for (Value& item : iterate(context, input)) {
    Value key = order_key(context, item, arguments, 0, 1);
    if (key.list() != nullptr || key.dict() != nullptr) context.fail("unique needs texts or numbers");
    const bool known = std::any_of(keys.begin(), keys.end(), [&](const Value& k) { return equal(context, k, key); });
    if (known) continue;
    keys.push_back(std::move(key));
    items.push_back(std::move(item));
  }
  return make_list(context, std::move(items), ListKind::kIterator);
}

Value extreme_item(Context& context, const Value& input, const Arguments& arguments, bool largest) {
  std::optional<Keyed> best;
  for (Value& item : iterate(context, input)) {
    Value key = order_key(context, item, arguments, 0, 1);
    const bool better = !best || (largest ? less(context, best->key, key) : less(context, key, best->key));
    if (better) best = Keyed{std::move(key), std::move(item)};
  }
  return best ? best->item : Value::undefined("the largest or smallest of no items");
}

Value sum_items(Context& context, const Value& input, const Arguments& arguments) {
  Value sum = arguments.has(1) ? arguments.value(1) : Value(int64_t{0});
  for (const Value& item : iterate(context, input)) {
    const bool has_attribute = arguments.has(0) && !arguments.value(0).is_none();
    sum = arithmetic(context, "+", sum, has_attribute ? follow(context, item, arguments.value(0)) : item);
  }
  return sum;
}

}  // namespace terse::data::jinja
