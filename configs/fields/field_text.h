// Formats the value and the rule of a field for messages, the printed config, the reference and the hash.
#pragma once

#include <string>
#include <string_view>

#include "configs/fields.h"

namespace terse::configs {

// Describes what the option accepts: "a whole number, at least 1", "one of auto, cpu, cuda", "true or false".
std::string describe(const Field& field);
// Describes the choices: "chain7", "one of auto, cpu, cuda".
std::string describe_choices(const Rule& rule);
// Describes the bounds: "at least 1", "from 0 to below 1". Returns "" when there are none.
std::string describe_range(const Rule& rule);
// Describes the type: "a whole number", "a number", "a text", "a list of texts", "a map from names to numbers", "true
// or false".
std::string_view describe_type(const ValuePtr& value);

bool in_range(const Rule& rule, double value);
// Returns "" when the value obeys its rule, and otherwise describes the violation.
std::string rule_violation(const Field& field);

// Returns the value as to_yaml() writes it: 0.001, [sft, rl], "a\nb". A number reads back with the same bits.
std::string value_text(const ValuePtr& value);

// Returns the text unquoted if YAML reads it back as the same text, and otherwise in double quotes with escapes.
std::string quoted_if_needed(std::string_view text);
// Returns the text in single quotes for a message. It escapes control characters and truncates the text after 60 bytes.
std::string shown(std::string_view text);

}  // namespace terse::configs
