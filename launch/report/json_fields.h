// Reads fields of untrusted JSON. A field that is missing or has another type gives an empty or default value and no
// error.
#pragma once

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace terse::launch::report {

inline std::optional<double> number_of(const nlohmann::json& object, const std::string& key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  const double value = found->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

inline int64_t integer_of(const nlohmann::json& object, const std::string& key, int64_t otherwise = 0) {
  const double value = number_of(object, key).value_or(static_cast<double>(otherwise));
  return std::abs(value) < 9e15 ? static_cast<int64_t>(value) : otherwise;
}

inline std::string text_of(const nlohmann::json& object, const std::string& key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

inline bool flag_of(const nlohmann::json& object, const std::string& key) {
  if (!object.is_object()) return false;
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

// Returns the number that follows `prefix`: 3 for "accuracy/difficulty_3" with the prefix "accuracy/difficulty_".
inline std::optional<int64_t> number_behind(const std::string& name, const std::string& prefix) {
  if (!name.starts_with(prefix) || name.size() == prefix.size() || name.size() > prefix.size() + 9) return std::nullopt;
  int64_t value = 0;
  for (char c : name.substr(prefix.size())) {
    if (c < '0' || c > '9') return std::nullopt;
    value = 10 * value + (c - '0');
  }
  return value;
}

}  // namespace terse::launch::report
