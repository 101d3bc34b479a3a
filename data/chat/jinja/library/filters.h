// Has the filters of Jinja2 that templates use.
#pragma once

#include <string_view>

#include "data/chat/jinja/library/arguments.h"

namespace terse::data::jinja {

bool is_filter(std::string_view name);

// Applies a filter for which is_filter() holds. Fails where Jinja2 fails.
Value apply_filter(Context& context, std::string_view name, const Value& input, const CallArguments& arguments);

}  // namespace terse::data::jinja
