// Keeps the order of keys, which templates print.
#include "data/chat/jinja/values/from_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace terse::data::jinja {

Value from_json(Context& context, const nlohmann::ordered_json& json, Origin origin) {
  if (json.is_null()) return Value();
  if (json.is_boolean()) return Value(json.get<bool>());
  if (json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX) {
    context.fail(fmt::format("the number {} in the input is too large", json.get<uint64_t>()));
  }
  if (json.is_number_integer()) return Value(json.get<int64_t>());
  if (json.is_number_float()) return Value(json.get<double>());
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    context.spend(text.size());
    return Value(Text(text, origin));
  }
  if (json.is_array()) {
    std::vector<Value> items;
    for (const auto& item : json) items.push_back(from_json(context, item, origin));
    return make_list(context, std::move(items));
  }
  std::vector<std::pair<Value, Value>> items;
  for (const auto& [key, value] : json.items()) {
    items.emplace_back(Value(Text(key, origin)), from_json(context, value, origin));
  }
  return make_dict_of_distinct_keys(context, std::move(items));
}

}  // namespace terse::data::jinja
