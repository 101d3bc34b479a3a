// Converts values to text exactly as Python does: str(), repr(), json.dumps(), and what counts as white space.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "data/chat/jinja/values/value.h"

namespace terse::data::jinja {

// Returns str(value). An undefined value is empty text, as Jinja2 prints it. Fails for functions, loops and namespaces.
Text to_text(Context& context, const Value& value);

// Tells how json.dumps() separates and indents.
struct JsonStyle {
  std::optional<std::string> indent;  // of one level
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
  bool ensure_ascii = false;
};

// Returns json.dumps(value). Numbers, booleans and null are marked as input, because they may be a user's.
Text to_json(Context& context, const Value& value, const JsonStyle& style);

// Returns repr() of a float: the shortest digits that give the same number, with an exponent from 1e16 and below 1e-4.
std::string float_text(double value);

// Calls use(character, begin, end) for every character of a text, with the offsets of its bytes.
template <typename Use>
void for_each_character(const Text& text, Use use) {
  const std::string_view bytes = text.bytes();
  for (size_t at = 0; at < bytes.size();) {
    const CodePoint character = first_code_point(bytes.substr(at));
    const size_t end = at + static_cast<size_t>(std::max(character.length, 1));
    use(character.value, at, end);
    at = end;
  }
}

// Returns whether str.isspace() holds for a character.
bool is_white_space(char32_t character);
// Return the offsets of the text without white space at its start or its end.
size_t skip_white_space(std::string_view text);
size_t end_without_white_space(std::string_view text);

}  // namespace terse::data::jinja
