// Defines which training curves the section of a stage shows, and in which order.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "launch/report/chart_parts.h"
#include "launch/report/charts.h"

namespace terse::launch::report {
namespace {

using nlohmann::json;

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
    {"mfu", "Utilisation", "share of the device's peak", "share", {{"mfu", "utilisation"}}, true},
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
    {"replay_loss",
     "Replay loss",
     "of supervised traces of the mastered form, nats per token",
     "number",
     {{"replay_loss", "replay loss"}},
     true},
    {"practice",
     "Practice of the next form",
     "accuracy of the apprentice's exams",
     "accuracy",
     {{"practice/exam_accuracy", "exam"}},
     true},
    {"grad_norm", "Gradient norm", "before clipping", "number", {{"grad_norm", "gradient norm"}}},
    {"tokens_per_s",
     "Throughput",
     "tokens per second, generated and trained",
     "number",
     {{"tokens_per_s", "tokens per second"}}},
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

json points_of(const RunData& run, const std::string& stage, const std::string& metric) {
  const Stage* found = run.stage(stage);
  if (found == nullptr || !found->curves.contains(metric)) return json::array();
  return points_json(found->curves.at(metric).points());
}

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
      add(runs[i].name, i, points_of(runs[i], stage, chart.curves.front().metric));
  } else {
    for (size_t i = 0; i < chart.curves.size(); ++i)
      add(chart.curves[i].label, i, points_of(runs.front(), stage, chart.curves[i].metric));
  }
  return series;
}

}  // namespace

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
