// A mean of no values has no value. If it were 0, it would look like a result, for example a perfect loss. So every
// mean that may be empty is a std::optional here. An empty mean is left out of metrics.jsonl and is null in JSON.
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

// Returns the metrics that have a value.
inline std::map<std::string, double> present(
    std::initializer_list<std::pair<std::string, std::optional<double>>> values) {
  std::map<std::string, double> out;
  for (const auto& [name, value] : values)
    if (value) out[name] = *value;
  return out;
}

// Returns the value of a metric, or nullopt when it has none.
inline std::optional<double> value_of(const std::map<std::string, double>& metrics, const std::string& name) {
  const auto found = metrics.find(name);
  return found == metrics.end() ? std::nullopt : std::optional(found->second);
}

// Returns the value for checkpoints::CheckpointInfo::score. A score that is not finite counts as unknown there and is
// never the best.
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
