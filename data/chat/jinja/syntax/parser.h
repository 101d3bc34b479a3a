// Makes a syntax tree of a template.
#pragma once

#include <string_view>

#include "data/chat/jinja/syntax/syntax.h"

namespace terse::data::jinja {

// Throws DataError with the line for a mistake in the template, for a construct, a filter or a test that is not
// supported, and for a template that is too large or nested too deeply.
Body parse(std::string_view source, Context& context);

}  // namespace terse::data::jinja
