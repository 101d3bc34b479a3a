// Has the methods of Python's str, list and dict, and those of `loop`, that templates call.
#pragma once

#include <string_view>

#include "data/chat/jinja/library/arguments.h"

namespace terse::data::jinja {

// Returns whether the type of a value has this method. Fails for a method that changes a list or a dict, as the sandbox
// of transformers does, and refuses methods and attributes of Python's types that terse does not know.
bool is_method(Context& context, const Value& value, std::string_view name);

// Calls a method for which is_method() holds.
Value call_method(Context& context, const Value& value, std::string_view name, const CallArguments& arguments);

}  // namespace terse::data::jinja
