// Cuts, joins and changes text as the methods of Python's str do. All results keep the marks of origin.
#pragma once

#include <string_view>
#include <vector>

#include "data/chat/jinja/values/value.h"

namespace terse::data::jinja {

// The bytes that a copy of a text takes, with the marks of origin. Where user and template take turns, the marks take
// more than the text.
inline size_t weight(const Text& text) {
  return text.size() + text.runs().size() * sizeof(Run);
}

// Removes white space, or the characters of `characters` if it is given, from the start and the end.
Text stripped(Context& context, const Text& text, const Text* characters, bool left, bool right);
// Splits as str.split() and str.rsplit() do; no separator means runs of white space. A negative `most` is no limit.
std::vector<Value> split(Context& context, const Text& text, const Text* separator, int64_t most, bool from_right);
// Splits at the ends of lines, which are not part of the lines.
std::vector<Text> lines(Context& context, const Text& text);
// Replaces the first `most` occurrences; a negative number means all.
Text replaced(Context& context, const Text& text, const Text& old, const Text& with, int64_t most);
Text joined(Context& context, const std::vector<Value>& items, const Text& separator);
Text repeated(Context& context, const Text& text, int64_t times);

// Escapes the characters that mean something in HTML, as '+' does for text beside markup.
Text html_escaped(Context& context, const Text& text);

// Returns text[start:stop:step] in characters; absent bounds are at the ends.
Text sliced(Context& context, const Text& text, const Value& start, const Value& stop, const Value& step);
// Returns the indices that a slice of `size` items takes. Fails when a bound is not an integer or the step is 0.
std::vector<int64_t> slice_indices(Context& context, int64_t size, const Value& start, const Value& stop,
                                   const Value& step);
// Returns the character at an index, or nothing when there is none. Negative indices count from the end.
std::optional<Text> character_at(Context& context, const Text& text, int64_t index);

}  // namespace terse::data::jinja
