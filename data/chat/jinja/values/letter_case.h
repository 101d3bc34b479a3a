// Changes the case of text as Python's str does.
#pragma once

#include "data/chat/jinja/values/context.h"
#include "data/chat/jinja/values/text.h"

namespace terse::data::jinja {

enum class Case { kUpper, kLower, kCapitalized, kTitle };

// Returns the text in another case. With `is_filter`, words of kTitle are what the filter `title` sees as words, else
// what str.title() does. Refuses the few letters whose case depends on their place or has several characters, and
// str.title() of text that is not ASCII.
Text with_case(Context& context, const Text& text, Case wanted, bool is_filter);

}  // namespace terse::data::jinja
