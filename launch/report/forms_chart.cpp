// Draws the share of each trace form over the steps as stacked areas.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "launch/report/chart_parts.h"
#include "launch/report/charts.h"

namespace terse::launch::report {
namespace {

using nlohmann::json;

constexpr size_t kMaxSteps = 500;  // every form has a point at each

struct Shares {
  std::map<std::string, std::map<double, double>> of;  // form to step to share
  std::set<double> steps;

  void add(const std::string& form, double step, double share) {
    steps.insert(step);
    of[form][step] = share;
  }
  // Returns the latest share up to a step, or 0. The curves of a long run are thinned, each at steps of its own.
  static double at(const std::map<double, double>& values, double step) {
    const auto next = values.upper_bound(step);
    return next == values.begin() ? 0 : std::prev(next)->second;
  }
};

size_t logged_points(const Stage& rl) {
  size_t logged = 0;
  for (const auto& [name, series] : rl.curves)
    if (name.starts_with("forms/")) logged = std::max(logged, series.points().size());
  return logged;
}

// Gathers the shares from training rollouts and the evaluations before them. Without `training` it uses evaluations
// alone.
Shares gather(const RunData& run, const Stage* training) {
  Shares shares;
  std::set<std::string> forms;
  for (const Evaluation& e : run.evaluations)
    for (const auto& [form, share] : e.forms) forms.insert(form);
  for (const Evaluation& e : run.evaluations) {
    if (e.forms.empty() || (training != nullptr && e.global_step > training->offset)) continue;
    for (const std::string& form : forms)
      shares.add(form, static_cast<double>(e.global_step), e.forms.contains(form) ? e.forms.at(form) : 0);
  }
  if (training == nullptr) return shares;
  for (const auto& [name, series] : training->curves) {
    if (!name.starts_with("forms/")) continue;
    for (const Point& point : series.points())
      shares.add(name.substr(6), static_cast<double>(training->offset) + point.x, point.y);
  }
  return shares;
}

std::vector<double> thinned(const std::set<double>& steps) {
  const std::vector<double> all(steps.begin(), steps.end());
  if (all.size() <= kMaxSteps) return all;
  std::vector<double> out;
  for (size_t i = 0; i < kMaxSteps; ++i) out.push_back(all[i * (all.size() - 1) / (kMaxSteps - 1)]);
  return out;
}

// Orders the forms by the mean of the steps at which they occur. The form "other" comes last.
std::vector<std::string> by_time(const Shares& shares) {
  std::vector<std::tuple<bool, double, std::string>> order;
  for (const auto& [form, values] : shares.of) {
    double mass = 0, moment = 0;
    for (const auto& [step, share] : values) mass += share, moment += share * step;
    if (mass > 0) order.emplace_back(form == "other", moment / mass, form);
  }
  std::sort(order.begin(), order.end());
  std::vector<std::string> forms;
  for (const auto& item : order) forms.push_back(std::get<2>(item));
  return forms;
}

}  // namespace

std::optional<Chart> forms_chart(const RunData& run, size_t index) {
  const Stage* rl = run.stage("rl");
  const bool training = rl != nullptr && logged_points(*rl) > run.evaluations.size();
  const Shares shares = gather(run, training ? rl : nullptr);
  if (shares.steps.size() < 2) return std::nullopt;

  json series = json::array();
  for (const std::string& form : by_time(shares)) {
    std::vector<Point> points;
    for (double step : thinned(shares.steps)) points.push_back({step, Shares::at(shares.of.at(form), step)});
    const json color = form == "other" ? json{{"category", "rest"}} : category(series.size());
    series.push_back(line_series(form, color, points_json(points)));
  }
  if (series.empty()) return std::nullopt;
  json spec = {{"kind", "area"}, {"x", "step of the run"}, {"format", "share"}, {"marks", stage_marks(run)}};
  spec["series"] = std::move(series);
  return Chart{
      "forms-" + std::to_string(index), "Trace forms",
      std::string("share of responses that follow each form, in ") + (training ? "training rollouts" : "evaluations"),
      "wide", std::move(spec)};
}

}  // namespace terse::launch::report
