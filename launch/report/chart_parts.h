// Builds the pieces of the JSON that charts.js reads.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "launch/report/run_data.h"

namespace terse::launch::report {

// Rounds to six digits. A screen shows no more, and all digits would take three times the bytes.
inline double compact(double value) {
  return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr);
}

inline nlohmann::json points_json(const std::vector<Point>& points, double x_offset = 0) {
  nlohmann::json out = nlohmann::json::array();
  for (const Point& point : points) out.push_back({point.x + x_offset, compact(point.y)});
  return out;
}

// Colours: `category` is an index into the categories, `scale` is a place in 0..1 on an ordered scale.
inline nlohmann::json category(size_t index) {
  return {{"category", index}};
}
inline nlohmann::json ordered(size_t index, size_t count) {
  return {{"scale", count > 1 ? static_cast<double>(index) / static_cast<double>(count - 1) : 0.0}};
}

inline nlohmann::json line_series(const std::string& name, nlohmann::json color, nlohmann::json points) {
  return {{"name", name}, {"color", std::move(color)}, {"points", std::move(points)}};
}

// Marks where later stages begin, within the steps that the evaluations span.
inline nlohmann::json stage_marks(const RunData& run) {
  nlohmann::json marks = nlohmann::json::array();
  if (run.evaluations.empty()) return marks;
  const int64_t first = run.evaluations.front().global_step, last = run.evaluations.back().global_step;
  for (const Stage& stage : run.stages)
    if (stage.steps > 0 && stage.offset > first && stage.offset < last)
      marks.push_back({{"x", stage.offset}, {"label", stage.name}});
  return marks;
}

}  // namespace terse::launch::report
