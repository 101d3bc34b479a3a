// Reads fields of the JSON files that describe a model; what is wrong is named with its key.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace terse::trainer {

// Throws DataError: "KEY" is FOUND, shortened where it is long; expected EXPECTED.
[[noreturn]] void fail_field(const std::string& key, const nlohmann::json& found, const std::string& expected);

// Returns the value of a key. Throws DataError when it is absent.
const nlohmann::json& required_field(const nlohmann::json& object, const char* key);

}  // namespace terse::trainer
