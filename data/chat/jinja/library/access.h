// Reads attributes and items of values, as Jinja2's sandbox does.
#pragma once

#include <string_view>

#include "data/chat/jinja/values/value.h"

namespace terse::data::jinja {

// Returns value.name: a method or attribute of the type, else the item of a dict, else undefined. Fails for an
// undefined value and for names that start with "_", and refuses attributes of Python's types that terse does not know.
Value attribute(Context& context, const Value& value, std::string_view name);

// Returns value[key]: an item, else the attribute of this name, else undefined.
Value item(Context& context, const Value& value, const Value& key);

// Follows a path such as "function.name" or 0, as the filters do that take an attribute. `otherwise`, which may be
// nullptr, takes the place of what is undefined on the way.
Value follow(Context& context, const Value& value, const Value& path, const Value* otherwise = nullptr);

}  // namespace terse::data::jinja
