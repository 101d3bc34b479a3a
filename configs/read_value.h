// One YAML node into one typed field, strictly: what is not exactly a value of the type is a mistake with a hint.
#pragma once

#include <string>
#include <string_view>

#include "configs/fields.h"
#include "configs/yaml_tree.h"

namespace terse::configs {

// Each returns "" and writes `out`, or returns what is wrong: "expected a whole number, found '1_000'; write 1000".
// Decimal digits only, in the range of int64; no sign '+', separators, leading zeros, decimal point or exponent.
std::string parse_whole(std::string_view text, int64_t& out);
// Decimal, with an optional fraction and exponent (0.001, 1e-3); finite.
std::string parse_number(std::string_view text, double& out);
// "true" or "false".
std::string parse_bool(std::string_view text, bool& out);

// A number of the command line, by the same rules as one of a file, and from the range of `rule`. Returns "" and writes
// `out`, or returns what is wrong.
std::string read_number(std::string_view text, const Rule& rule, int64_t& out);
std::string read_number(std::string_view text, const Rule& rule, double& out);

// Reads `node` into the field's value and checks its rule. On a mistake the value is left as it was, `mistakes` grows
// and the result is false. Lists and maps replace the value as a whole. `key_mark` is the place of the key, for values
// that are missing.
bool read_value(const Field& field, const Node& node, const std::string& source, Mark key_mark, Mistakes& mistakes);

// One entry of a map field, e.g. `states` of task.forms.
bool read_entry(const Field& field, const std::string& key, const Node& node, const std::string& source, Mark key_mark,
                Mistakes& mistakes);

}  // namespace terse::configs
