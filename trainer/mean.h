// A mean over nothing is nothing. Read as 0 it would pass for a result: a perfect loss, or an accuracy that nobody had.
// So whatever may be a mean over nothing is an optional here, is left out of metrics.jsonl, and is null in JSON.
#pragma once

#include <initializer_list>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

namespace terse::trainer {

inline std::optional<double> mean_of(double sum, double count) {
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

struct Mean {
  double sum = 0, count = 0;
  void add(double value) { sum += value, count += 1; }
  std::optional<double> value() const { return mean_of(sum, count); }
};

// The metrics that have a value.
inline std::map<std::string, double> present(
    std::initializer_list<std::pair<std::string, std::optional<double>>> values) {
  std::map<std::string, double> out;
  for (const auto& [name, value] : values)
    if (value) out[name] = *value;
  return out;
}

// The value of a metric, where it has one.
inline std::optional<double> value_of(const std::map<std::string, double>& metrics, const std::string& name) {
  const auto found = metrics.find(name);
  return found == metrics.end() ? std::nullopt : std::optional(found->second);
}

// For checkpoints::CheckpointInfo::score, where what is not finite is unknown and never the best.
inline double score_of(std::optional<double> value) {
  return value.value_or(std::numeric_limits<double>::quiet_NaN());
}

inline nlohmann::json or_null(std::optional<double> value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}
inline std::optional<double> value_in(const nlohmann::json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<double>());
}

}  // namespace terse::trainer
