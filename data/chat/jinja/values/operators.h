// Computes the operators of expressions by the rules of Python.
#pragma once

#include <string_view>

#include "data/chat/jinja/values/value.h"

namespace terse::data::jinja {

// Returns left `sign` right, where the sign is + - * / // % or **. Fails for types that do not go together, for a
// result that does not fit into 64 bits, and for a division by 0.
Value arithmetic(Context& context, std::string_view sign, const Value& left, const Value& right);

Value negative(Context& context, const Value& value);

// Returns whether left `sign` right, where the sign is == != < <= > >= in or not in.
bool compare(Context& context, std::string_view sign, const Value& left, const Value& right);

}  // namespace terse::data::jinja
