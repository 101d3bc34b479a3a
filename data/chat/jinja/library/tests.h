// Has the tests of Jinja2, as in "x is defined".
#pragma once

#include <string_view>

#include "data/chat/jinja/library/arguments.h"

namespace terse::data::jinja {

bool is_test(std::string_view name);

// Applies a test for which is_test() holds.
bool apply_test(Context& context, std::string_view name, const Value& value, const CallArguments& arguments);

}  // namespace terse::data::jinja
