// A field's value and rule as text: for messages, the printed config, the reference and the hash.
#pragma once

#include <string>
#include <string_view>

#include "configs/fields.h"

namespace terse::configs {

// What the option takes: "a whole number, at least 1", "one of auto, cpu, cuda", "true or false".
std::string describe(const Field& field);
// "chain7", "one of auto, cpu, cuda".
std::string describe_choices(const Rule& rule);
// Bounds as text: "at least 1", "from 0 to below 1"; "" when there are none.
std::string describe_range(const Rule& rule);
// "a whole number", "a number", "a text", "a list of texts", "a map from names to numbers", "true or false".
std::string_view describe_type(const ValuePtr& value);

bool in_range(const Rule& rule, double value);
// "" when the value obeys its rule, else what is wrong with it.
std::string rule_violation(const Field& field);

// The value as to_yaml() writes it: 0.001, [sft, rl], "a\nb". Numbers read back to the same bits.
std::string value_text(const ValuePtr& value);

// Plain when YAML reads it back as the same text, else in double quotes with escapes.
std::string quoted_if_needed(std::string_view text);
// In single quotes for a message: control characters escaped, cut after 60 bytes.
std::string shown(std::string_view text);

}  // namespace terse::configs
