// The order matters: value.items of a dict is the method even where the dict has a key "items", while value['items'] is
// the key.
#include "data/chat/jinja/library/access.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/chat/jinja/library/methods.h"
#include "data/chat/jinja/values/text_operations.h"

namespace terse::data::jinja {

namespace {

std::optional<Value> loop_attribute(const Loop& loop, std::string_view name) {
  if (name == "index") return Value(loop.index0 + 1);
  if (name == "index0") return Value(loop.index0);
  if (name == "first") return Value(loop.index0 == 0);
  if (name == "last") return Value(loop.index0 + 1 == loop.length);
  if (name == "length") return Value(loop.length);
  if (name == "revindex") return Value(loop.length - loop.index0);
  if (name == "revindex0") return Value(loop.length - loop.index0 - 1);
  if (name == "depth") return Value(loop.depth0 + 1);
  if (name == "depth0") return Value(loop.depth0);
  if (name == "previtem") return loop.previous;
  if (name == "nextitem") return loop.next;
  return std::nullopt;
}

// Returns what the type of the value has under this name.
std::optional<Value> own_attribute(Context& context, const Value& value, std::string_view name) {
  if (name.starts_with('_')) context.fail(fmt::format("the attribute '{}' is not allowed in a template", name));
  if (const Loop* loop = value.loop()) {
    if (auto found = loop_attribute(*loop, name)) return found;
  }
  if (const Namespace* space = value.space()) {
    for (const auto& [key, held] : space->attributes) {
      if (key == name) return held;
    }
    return std::nullopt;
  }
  if (is_method(context, value, name)) return Value(Function{std::string(name)});
  return std::nullopt;
}

// Returns the item of a list, a text or a dict.
std::optional<Value> own_item(Context& context, const Value& value, const Value& key) {
  if (const Dict* dict = value.dict()) {
    const bool can_be_key = key.list() == nullptr && key.dict() == nullptr;
    const Value* found = can_be_key ? find(context, *dict, key) : nullptr;
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  const auto index = whole_number(key);
  if (!index) return std::nullopt;
  if (const Text* text = value.text()) {
    auto character = character_at(context, *text, *index);
    return character ? std::optional(Value(std::move(*character))) : std::nullopt;
  }
  const List* list = value.list();
  if (list == nullptr || !list->has_indices()) return std::nullopt;
  const auto size = static_cast<int64_t>(list->items.size());
  if (*index < -size || *index >= size) return std::nullopt;
  return list->items[static_cast<size_t>(*index < 0 ? *index + size : *index)];
}

void fail_if_undefined(Context& context, const Value& value) {
  if (value.is_undefined()) context.fail(*std::get<Undefined>(value.data()).why);
}

}  // namespace

Value attribute(Context& context, const Value& value, std::string_view name) {
  context.spend();
  fail_if_undefined(context, value);
  if (auto found = own_attribute(context, value, name)) return *found;
  if (const Dict* dict = value.dict()) {
    if (const Value* found = find(context, *dict, name)) return *found;
  }
  return Value::undefined(fmt::format("a {} without '{}'", type_name(value), name));
}

Value item(Context& context, const Value& value, const Value& key) {
  context.spend();
  fail_if_undefined(context, value);
  if (auto found = own_item(context, value, key)) return *found;
  if (key.text() == nullptr) return Value::undefined(fmt::format("a {} without such an item", type_name(value)));
  if (auto found = own_attribute(context, value, key.text()->bytes())) return *found;
  context.spend(key.text()->size());
  return Value::undefined(fmt::format("a {} without '{}'", type_name(value), key.text()->bytes()));
}

Value follow(Context& context, const Value& value, const Value& path, const Value* otherwise) {
  const auto step = [&](const Value& at, const Value& key) {
    Value next = item(context, at, key);
    return next.is_undefined() && otherwise != nullptr ? *otherwise : next;
  };
  if (path.text() == nullptr) return step(value, path);
  Value at = value;
  const Text dot(".");
  for (const Value& part : split(context, *path.text(), &dot, -1, false)) {
    const std::string& name = part.text()->bytes();
    const bool is_index = !name.empty() && name.size() < 18 &&
                          std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    at = step(at, is_index ? Value(static_cast<int64_t>(std::stoll(name))) : part);
  }
  return at;
}

}  // namespace terse::data::jinja
