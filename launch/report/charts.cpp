// Chooses the source of the points for each chart. The page decides how the charts look.
#include "launch/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "launch/report/chart_parts.h"

namespace terse::launch::report {
namespace {

using nlohmann::json;

constexpr size_t kFewEvaluations = 3;  // with fewer evaluations, training rollouts show more

std::vector<Point> curve(const RunData& run, const std::string& stage, const std::string& metric) {
  const Stage* found = run.stage(stage);
  if (found == nullptr || !found->curves.contains(metric)) return {};
  return found->curves.at(metric).points();
}

bool has_points(const json& series) {
  return std::any_of(series.begin(), series.end(), [](const json& one) { return one["points"].size() >= 2; });
}

std::string label_of(const Evaluation& evaluation) {
  if (evaluation.after_stage) return "after " + evaluation.stage;
  return fmt::format("{} step {}", evaluation.stage, evaluation.step);
}

json phase_run(const RunData& run) {
  json evaluations = json::array(), cloud = json::array();
  for (const Evaluation& e : run.evaluations)
    evaluations.push_back({compact(e.mean_tokens), compact(e.accuracy), e.global_step, label_of(e)});
  const std::vector<Point> tokens = curve(run, "rl", "completions/mean_length"), right = curve(run, "rl", "accuracy");
  const Stage* rl = run.stage("rl");
  for (size_t t = 0, r = 0; t < tokens.size() && r < right.size();) {
    if (tokens[t].x == right[r].x) {
      cloud.push_back({compact(tokens[t].y), compact(right[r].y), static_cast<double>(rl->offset) + tokens[t].x});
    }
    tokens[t].x < right[r].x ? ++t : ++r;
  }
  json out = {{"name", run.name}, {"evaluations", evaluations}, {"cloud", cloud}};
  if (run.before && *run.before != *run.after) out["before"] = *run.before, out["after"] = *run.after;
  return out;
}

std::set<int64_t> difficulties(const RunData& run) {
  std::set<int64_t> out;
  for (const Evaluation& evaluation : run.evaluations)
    for (const auto& [difficulty, cell] : evaluation.by_difficulty) out.insert(difficulty);
  return out;
}

// The quantity in a progress chart, either over all problems or for one difficulty.
struct Quantity {
  const char* id;
  const char* title;
  const char* training_metric;
  const char* format;
  double (*of)(double accuracy, double tokens);
};
const Quantity kQuantities[] = {
    {"length", "Length", "completions/mean_length", "number", [](double, double tokens) { return tokens; }},
    {"accuracy", "Accuracy", "accuracy", "accuracy", [](double accuracy, double) { return accuracy; }},
};

bool from_evaluations(const RunData& run) {
  return run.evaluations.size() >= kFewEvaluations;
}

json quantity_points(const RunData& run, const Quantity& quantity, std::optional<int64_t> difficulty) {
  std::vector<Point> points;
  for (const Evaluation& e : run.evaluations) {
    if (difficulty && !e.by_difficulty.contains(*difficulty)) continue;
    const auto cell = difficulty ? e.by_difficulty.at(*difficulty) : Evaluation::Cell{0, e.accuracy, e.mean_tokens};
    points.push_back({static_cast<double>(e.global_step), quantity.of(cell.accuracy, cell.mean_tokens)});
  }
  if (from_evaluations(run)) return points_json(points);
  const std::string suffix = difficulty ? fmt::format("/difficulty_{}", *difficulty) : "";
  const Stage* rl = run.stage("rl");
  return points_json(curve(run, "rl", quantity.training_metric + suffix),
                     rl != nullptr ? static_cast<double>(rl->offset) : 0);
}

}  // namespace

std::optional<Chart> phase_chart(const Runs& runs) {
  json list = json::array();
  size_t points = 0;
  for (const RunData& run : runs) {
    list.push_back(phase_run(run));
    points = std::max(points, list.back()["evaluations"].size() + list.back()["cloud"].size());
  }
  if (points < 2) return std::nullopt;
  return Chart{"phase",
               "Accuracy against length",
               "Higher points have more correct answers, points further left fewer tokens. Large points are "
               "evaluations, small points training steps.",
               "wide",
               {{"kind", "phase"}, {"runs", list}}};
}

std::vector<Chart> progress_charts(const Runs& runs) {
  std::vector<Chart> charts;
  const RunData& first = runs.front();
  std::set<int64_t> all = difficulties(first);
  if (const Stage* rl = first.stage("rl"); rl != nullptr && !from_evaluations(first)) {
    for (int64_t k = 0; k < 1000; ++k)
      if (rl->curves.contains(fmt::format("accuracy/difficulty_{}", k))) all.insert(k);
  }
  for (const Quantity& quantity : kQuantities) {
    json series = json::array();
    if (runs.size() == 1) {
      size_t index = 0;
      for (int64_t k : all)
        series.push_back(
            line_series(std::to_string(k), ordered(index++, all.size()), quantity_points(first, quantity, k)));
    } else {
      for (size_t i = 0; i < runs.size(); ++i)
        series.push_back(line_series(runs[i].name, category(i), quantity_points(runs[i], quantity, std::nullopt)));
    }
    if (!has_points(series)) continue;
    const bool evaluated = std::all_of(runs.begin(), runs.end(), from_evaluations);
    const std::string source = evaluated ? "in evaluations" : "in training rollouts where evaluations are few";
    json spec = {{"kind", "line"},
                 {"x", "step of the run"},
                 {"format", quantity.format},
                 {"series", series},
                 {"dots", evaluated}};
    if (runs.size() == 1) spec["marks"] = stage_marks(first), spec["legend"] = "difficulty";
    charts.push_back(
        {std::string("progress-") + quantity.id,
         std::string(quantity.title) + (runs.size() == 1 ? " by difficulty" : ""),
         (quantity.id == std::string("length") ? "mean tokens of a response, " : "share of correct answers, ") + source,
         "half", std::move(spec)});
  }
  return charts;
}

}  // namespace terse::launch::report
