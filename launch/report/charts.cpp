// Chooses the source of the points for each chart, and the training curves that the section of a stage shows. The page
// decides how the charts look.
#include "launch/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace terse::launch::report {
namespace {

using nlohmann::json;

constexpr size_t kFewEvaluations = 3;  // with fewer evaluations, training rollouts show more
constexpr size_t kMaxSteps = 500;      // of a chart of forms; every form has a point at each

// Rounds to six digits. A screen shows no more, and all digits would take three times the bytes.
double compact(double value) {
  return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr);
}

json points_json(const std::vector<Point>& points, double x_offset = 0) {
  json out = json::array();
  for (const Point& point : points) out.push_back({point.x + x_offset, compact(point.y)});
  return out;
}

// Colours: `category` is an index into the categories, `scale` is a place in 0..1 on an ordered scale.
json category(size_t index) {
  return {{"category", index}};
}
json ordered(size_t index, size_t count) {
  return {{"scale", count > 1 ? static_cast<double>(index) / static_cast<double>(count - 1) : 0.0}};
}

json line_series(const std::string& name, json color, json points) {
  return {{"name", name}, {"color", std::move(color)}, {"points", std::move(points)}};
}

// Marks where later stages begin, within the steps that the evaluations span.
json stage_marks(const RunData& run) {
  json marks = json::array();
  if (run.evaluations.empty()) return marks;
  const int64_t first = run.evaluations.front().global_step, last = run.evaluations.back().global_step;
  for (const Stage& stage : run.stages)
    if (stage.steps > 0 && stage.offset > first && stage.offset < last)
      marks.push_back({{"x", stage.offset}, {"label", stage.name}});
  return marks;
}

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

// The difficulties, or the tasks of a mixture: there may be too many difficulties of several tasks for one chart.
std::set<rl::Difficulty> difficulties(const RunData& run) {
  std::set<rl::Difficulty> out;
  for (const Evaluation& evaluation : run.evaluations)
    for (const auto& [difficulty, cell] : evaluation.by_difficulty)
      if (difficulty.task.empty() || difficulty.value < 0) out.insert(difficulty);
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

json quantity_points(const RunData& run, const Quantity& quantity, const std::optional<rl::Difficulty>& difficulty) {
  std::vector<Point> points;
  for (const Evaluation& e : run.evaluations) {
    if (difficulty && !e.by_difficulty.contains(*difficulty)) continue;
    const auto cell = difficulty ? e.by_difficulty.at(*difficulty) : Evaluation::Cell{0, e.accuracy, e.mean_tokens};
    points.push_back({static_cast<double>(e.global_step), quantity.of(cell.accuracy, cell.mean_tokens)});
  }
  if (from_evaluations(run)) return points_json(points);
  const std::string prefix = difficulty ? rl::metric_prefix(difficulty->task) : "";
  const std::string suffix =
      difficulty && difficulty->value >= 0 ? fmt::format("/difficulty_{}", difficulty->value) : "";
  const Stage* rl = run.stage("rl");
  return points_json(curve(run, "rl", prefix + quantity.training_metric + suffix),
                     rl != nullptr ? static_cast<double>(rl->offset) : 0);
}

// The share of each trace form over the steps. The page draws it as stacked areas.
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

struct Curve {
  const char* metric;
  const char* label;
};

struct CurveChart {
  const char* id;
  const char* title;
  const char* note;
  const char* format;
  std::vector<Curve> curves;  // a comparison of several runs shows only the first
  bool skip_when_zero = false;
};

// The section of a stage shows these charts, in this order.
const std::vector<CurveChart> kSupervisedCharts = {
    {"loss", "Loss", "cross-entropy, nats per token", "number", {{"loss", "training"}, {"val_loss", "validation"}}},
    {"val_loss", "Validation loss", "nats per token", "number", {{"val_loss", "validation"}}},
    {"bits_per_byte",
     "Bits per byte",
     "validation loss, independent of the tokenizer",
     "number",
     {{"bits_per_byte", "bits per byte"}}},
    {"grad_norm", "Gradient norm", "before clipping", "number", {{"grad_norm", "gradient norm"}}},
    {"lr", "Learning rate", "", "number", {{"lr", "learning rate"}}},
    {"tokens_per_s", "Throughput", "tokens per second", "number", {{"tokens_per_s", "tokens per second"}}},
    {"mfu", "Utilisation", "share of the speed of matrix products", "share", {{"mfu", "utilisation"}}, true},
};

const std::vector<CurveChart> kRlCharts = {
    {"accuracy",
     "Accuracy of rollouts",
     "share of correct answers, before any length penalty",
     "accuracy",
     {{"accuracy", "accuracy"}}},
    {"length",
     "Length of rollouts",
     "mean tokens",
     "number",
     {{"completions/mean_length", "all"},
      {"completions/mean_length_correct", "correct"},
      {"completions/mean_length_wrong", "wrong"}}},
    {"reward", "Reward", "outcome and length penalty together", "number", {{"reward", "reward"}}},
    {"pressure", "Pressure", "strength of the length penalty", "number", {{"compression/pressure", "pressure"}}},
    {"entropy", "Entropy", "of the sampled distributions, nats per token", "number", {{"entropy", "entropy"}}},
    {"loss", "Loss", "policy loss", "number", {{"loss", "loss"}}},
    {"demonstration_loss",
     "Demonstration loss",
     "of supervised traces of the mastered form, nats per token",
     "number",
     {{"demonstration_loss", "demonstration loss"}},
     true},
    {"student",
     "Student of the next form",
     "accuracy at the promotion gate",
     "accuracy",
     {{"student/gate_accuracy", "gate"}},
     true},
    {"grad_norm", "Gradient norm", "before clipping", "number", {{"grad_norm", "gradient norm"}}},
    {"tokens_per_s",
     "Throughput",
     "tokens per second, generated and trained",
     "number",
     {{"tokens_per_s", "tokens per second"}}},
    {"mfu",
     "Utilisation",
     "of updates, share of the speed of matrix products",
     "share",
     {{"mfu", "utilisation"}},
     true},
    {"kl", "KL divergence", "between sampling and first update, nats per token", "number", {{"kl", "KL"}}, true},
    {"clipped",
     "Truncated responses",
     "share that reached the token limit",
     "share",
     {{"completions/clipped_ratio", "truncated"}},
     true},
    {"uniform",
     "Groups without a signal",
     "share of groups in which all rewards are equal",
     "share",
     {{"frac_reward_zero_std", "groups"}},
     true},
    {"correct_negative",
     "Correct but penalized",
     "share of correct rollouts with a negative advantage",
     "share",
     {{"compression/correct_negative", "share"}},
     true},
    {"logp_diff",
     "Sampler against learner",
     "largest difference of log-probabilities",
     "number",
     {{"sampling/logp_diff/max", "difference"}}},
    {"staleness",
     "Staleness",
     "updates between sampling and training",
     "number",
     {{"staleness/mean", "mean"}, {"staleness/max", "largest"}},
     true},
    {"lr", "Learning rate", "", "number", {{"lr", "learning rate"}}},
};

bool all_zero(const json& series) {
  for (const json& one : series)
    for (const json& point : one["points"])
      if (point[1] != 0) return false;
  return true;
}

// Returns the curves of one chart that have at least two points.
json series_of(const Runs& runs, const std::string& stage, const CurveChart& chart) {
  json series = json::array();
  const auto add = [&](const std::string& name, size_t color, json points) {
    if (points.size() >= 2) series.push_back(line_series(name, category(color), std::move(points)));
  };
  if (runs.size() > 1) {
    for (size_t i = 0; i < runs.size(); ++i)
      add(runs[i].name, i, points_json(curve(runs[i], stage, chart.curves.front().metric)));
  } else {
    for (size_t i = 0; i < chart.curves.size(); ++i)
      add(chart.curves[i].label, i, points_json(curve(runs.front(), stage, chart.curves[i].metric)));
  }
  return series;
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
  std::set<rl::Difficulty> all = difficulties(first);
  if (const Stage* rl = first.stage("rl"); rl != nullptr && !from_evaluations(first)) {
    for (int64_t k = 0; k < 1000; ++k)
      if (rl->curves.contains(fmt::format("accuracy/difficulty_{}", k))) all.emplace(k);
  }
  const std::string kinds = first.mixes() ? "task" : "difficulty";
  for (const Quantity& quantity : kQuantities) {
    json series = json::array();
    if (runs.size() == 1) {
      size_t index = 0;
      for (const rl::Difficulty& k : all) {
        const json color = k.task.empty() ? ordered(index, all.size()) : category(index);
        series.push_back(line_series(label_of(k), color, quantity_points(first, quantity, k)));
        ++index;
      }
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
    if (runs.size() == 1) spec["marks"] = stage_marks(first), spec["legend"] = kinds;
    charts.push_back(
        {std::string("progress-") + quantity.id, std::string(quantity.title) + (runs.size() == 1 ? " by " + kinds : ""),
         (quantity.id == std::string("length") ? "mean tokens of a response, " : "share of correct answers, ") + source,
         "half", std::move(spec)});
  }
  return charts;
}

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

std::vector<Chart> stage_charts(const Runs& runs, const std::string& stage) {
  std::vector<Chart> charts;
  for (const CurveChart& chart : stage == "rl" ? kRlCharts : kSupervisedCharts) {
    // A report on one run shows the validation loss in the chart of the training loss.
    if (runs.size() == 1 && chart.id == std::string("val_loss")) continue;
    json series = series_of(runs, stage, chart);
    if (series.empty() || (chart.skip_when_zero && all_zero(series))) continue;
    const bool main = stage == "pretrain" && chart.id == std::string("loss");
    charts.push_back(
        {stage + "-" + chart.id,
         chart.title,
         chart.note,
         main ? "wide" : "third",
         {{"kind", "line"}, {"x", "step"}, {"format", chart.format}, {"series", std::move(series)}, {"smooth", true}}});
  }
  return charts;
}

}  // namespace terse::launch::report
