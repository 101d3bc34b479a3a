// Reads one YAML node into one typed field. Anything that is not exactly a value of the type is a mistake with a hint.
#pragma once

#include <string>
#include <string_view>

#include "configs/fields.h"
#include "configs/yaml/yaml_tree.h"

namespace terse::configs {

// Each of these functions returns "" and writes `out`, or describes the mistake: "expected a whole number, found
// '1_000'; write 1000". parse_whole() accepts decimal digits with an optional '-', in the range of int64. It accepts no
// '+', separators, leading zeros, decimal point or exponent.
std::string parse_whole(std::string_view text, int64_t& out);
// Accepts a finite decimal number with an optional fraction and exponent (0.001, 1e-3).
std::string parse_number(std::string_view text, double& out);
// Accepts "true" or "false".
std::string parse_bool(std::string_view text, bool& out);

// Reads a number of the command line by the same rules as a number of a file, and checks the range of `rule`. Returns
// "" and writes `out`, or describes the mistake.
std::string read_number(std::string_view text, const Rule& rule, int64_t& out);
std::string read_number(std::string_view text, const Rule& rule, double& out);

// Reads `node` into the field's value and checks its rule. On a mistake it leaves the value unchanged, appends to
// `mistakes` and returns false. A list or a map replaces the value as a whole. `key_mark` is the place of the key, for
// the message about a missing value.
bool read_value(const Field& field, const Node& node, const std::string& source, Mark key_mark, Mistakes& mistakes);

// Reads one entry of a map field, e.g. `states` of task.forms.
bool read_entry(const Field& field, const std::string& key, const Node& node, const std::string& source, Mark key_mark,
                Mistakes& mistakes);

}  // namespace terse::configs
