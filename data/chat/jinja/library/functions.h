// Has the functions that a template can call by name: range, dict, namespace, raise_exception and strftime_now.
#pragma once

#include <string_view>

#include "data/chat/jinja/library/arguments.h"

namespace terse::data::jinja {

// Returns whether there is such a function. Without a date, there is no strftime_now.
bool is_function(const Context& context, std::string_view name);

// Calls a function for which is_function() holds. raise_exception() throws DataError with its message.
Value call_function(Context& context, std::string_view name, const CallArguments& arguments);

// Sets an attribute of a namespace. Fails for names that start with "_", as in the sandbox of transformers.
void set_attribute(Context& context, Namespace& space, const std::string& name, Value value);

}  // namespace terse::data::jinja
