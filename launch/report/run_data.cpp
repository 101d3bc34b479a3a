// The curves and the evaluations during training come from metrics.jsonl. The stages and the evaluations after them
// come from summary.json.
#include "launch/report/run_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/jsonl.h"
#include "launch/exit_codes.h"
#include "launch/report/json_fields.h"
#include "launch/text.h"

namespace terse::launch::report {
namespace {

constexpr size_t kMaxNames = 1000;             // metrics of a stage
constexpr std::streamsize kMaxText = 1 << 20;  // bytes of config.yaml that are shown

std::string read_text(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text(static_cast<size_t>(kMaxText), '\0');
  stream.read(text.data(), kMaxText);
  text.resize(static_cast<size_t>(std::max<std::streamsize>(0, stream.gcount())));
  return text;
}

nlohmann::json read_json(const std::filesystem::path& path, std::vector<std::string>& notes) {
  std::ifstream stream(path);
  if (!stream) return nullptr;
  nlohmann::json json = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  notes.push_back(fmt::format("{} cannot be read: it is not a JSON object.", path.filename().string()));
  return nullptr;
}

Stage& stage_named(std::vector<Stage>& stages, const std::string& name) {
  for (Stage& stage : stages)
    if (stage.name == name) return stage;
  stages.emplace_back().name = name;
  return stages.back();
}

// Returns the evaluation in a record of metrics.jsonl. Its names begin with "eval/".
std::optional<Evaluation> evaluation_in(const nlohmann::json& record) {
  const auto accuracy = number_of(record, "eval/accuracy"), tokens = number_of(record, "eval/mean_tokens");
  if (!accuracy || !tokens) return std::nullopt;
  Evaluation out;
  out.stage = text_of(record, "stage");
  out.step = integer_of(record, "step");
  out.accuracy = *accuracy;
  out.mean_tokens = *tokens;
  for (const auto& [name, value] : record.items()) {
    if (!value.is_number()) continue;
    if (const auto k = number_behind(name, "eval/accuracy/difficulty_")) {
      const auto length = number_of(record, fmt::format("eval/mean_tokens/difficulty_{}", *k));
      if (length) out.by_difficulty[*k] = {0, value, *length};
    }
    if (name.starts_with("eval/forms/")) out.forms[name.substr(11)] = value;
  }
  return out;
}

// Returns the evaluation in the `eval` object of a stage in summary.json.
std::optional<Evaluation> evaluation_after(const nlohmann::json& stage) {
  if (!stage.contains("eval")) return std::nullopt;
  const nlohmann::json& eval = stage["eval"];
  const auto accuracy = number_of(eval, "accuracy"), tokens = number_of(eval, "mean_tokens");
  if (!accuracy || !tokens) return std::nullopt;
  Evaluation out;
  out.stage = text_of(stage, "stage");
  out.step = integer_of(stage, "steps");
  out.after_stage = true;
  out.accuracy = *accuracy;
  out.mean_tokens = *tokens;
  if (eval.contains("by_difficulty")) {
    for (const auto& [name, cell] : eval["by_difficulty"].items()) {
      const auto k = number_behind("k" + name, "k");
      const auto right = number_of(cell, "accuracy"), length = number_of(cell, "mean_tokens");
      if (k && right && length) out.by_difficulty[*k] = {number_of(cell, "n").value_or(0), *right, *length};
    }
  }
  if (eval.contains("forms")) {
    for (const auto& [name, form] : eval["forms"].items()) {
      if (const auto share = number_of(form, "share")) out.forms[name] = *share;
      if (const auto right = number_of(form, "accuracy")) out.form_accuracy[name] = *right;
    }
  }
  return out;
}

void read_summary(const nlohmann::json& summary, RunData& run, std::vector<Evaluation>& found) {
  if (const std::string name = text_of(summary, "run"); !name.empty()) run.name = name;
  run.wall_s = number_of(summary, "wall_s").value_or(0);
  if (!summary.is_object() || !summary.contains("stages") || !summary["stages"].is_array()) return;
  for (const nlohmann::json& entry : summary["stages"]) {
    const std::string name = text_of(entry, "stage");
    if (name.empty()) continue;
    Stage& stage = stage_named(run.stages, name);
    stage.finished = true;
    stage.steps = integer_of(entry, "steps");
    stage.tokens = integer_of(entry, "tokens");
    stage.wall_s = number_of(entry, "wall_s").value_or(0);
    const auto evaluation = evaluation_after(entry);
    if (!evaluation) continue;
    // The numbers of different tasks are not comparable, so only the last task counts.
    const std::string task = text_of(entry["eval"], "task");
    if (task != run.task) found.clear();
    run.task = task;
    found.push_back(*evaluation);
  }
}

// A record names only the trace forms that occurred in its step. The share of the other forms is 0.
void add_absent_forms(const nlohmann::json& record, double step, Stage& stage) {
  const auto is_form = [](const std::string& metric) { return metric.starts_with("forms/"); };
  bool tells = false;
  for (const auto& [metric, value] : record.items()) tells = tells || is_form(metric);
  if (!tells) return;
  for (auto& [metric, series] : stage.curves)
    if (is_form(metric) && !record.contains(metric)) series.add(step, 0);
}

// Adds a record's numbers to the curves of its stage. Returns false for a record without a stage or step.
bool add_record(const nlohmann::json& record, RunData& run) {
  const std::string name = text_of(record, "stage");
  const auto step = number_of(record, "step");
  if (name.empty() || !step || run.stages.size() > 100) return false;
  Stage& stage = stage_named(run.stages, name);
  if (!stage.finished) stage.steps = std::max(stage.steps, integer_of(record, "step"));
  for (const auto& [metric, value] : record.items()) {
    if (!value.is_number() || metric == "time" || metric == "step" || metric.starts_with("eval/")) continue;
    if (stage.curves.size() >= kMaxNames && !stage.curves.contains(metric)) continue;
    stage.curves[metric].add(*step, value.get<double>());
  }
  add_absent_forms(record, *step, stage);
  return true;
}

// Reads metrics.jsonl into the curves. Returns the evaluations during training.
std::vector<Evaluation> read_metrics(RunData& run) {
  std::vector<Evaluation> found;
  int64_t nonfinite = 0, skipped = 0;
  for (JsonlReader reader(run.dir / "metrics.jsonl"); reader.next();) {
    const nlohmann::json& record = reader.object();
    if (!reader.is_object()) {
      ++skipped;
      continue;
    }
    if (!add_record(record, run)) continue;
    if (record.contains("nonfinite")) ++nonfinite;
    if (auto evaluation = evaluation_in(record)) found.push_back(std::move(*evaluation));
  }
  if (skipped > 0) run.notes.push_back(fmt::format("{} line(s) of metrics.jsonl could not be read.", skipped));
  if (nonfinite > 0) run.notes.push_back(fmt::format("{} record(s) contain values that are not finite.", nonfinite));
  return found;
}

// Keeps one evaluation for each global step. Of two evaluations at the same step, the one that is later in `found` is
// kept.
void order_evaluations(std::vector<Evaluation> found, RunData& run) {
  std::map<int64_t, Evaluation> ordered;
  for (Evaluation& evaluation : found) {
    const Stage* stage = run.stage(evaluation.stage);
    evaluation.global_step = (stage != nullptr ? stage->offset : 0) + evaluation.step;
    ordered[evaluation.global_step] = std::move(evaluation);
  }
  for (auto& [step, evaluation] : ordered) run.evaluations.push_back(std::move(evaluation));
  if (run.evaluations.empty()) return;
  run.before = 0;
  run.after = run.evaluations.size() - 1;
  for (size_t i = 0; i < run.evaluations.size(); ++i)
    if (run.evaluations[i].after_stage && run.evaluations[i].stage == "sft") run.before = i;
}

void note_unfinished(RunData& run) {
  for (const Stage& stage : run.stages) {
    if (stage.finished) continue;
    run.notes.push_back(fmt::format("Unfinished: stage {} is at step {}.", stage.name, with_thousands(stage.steps)));
  }
}

}  // namespace

const Stage* RunData::stage(const std::string& stage_name) const {
  for (const Stage& stage : stages)
    if (stage.name == stage_name) return &stage;
  return nullptr;
}

RunData read_run(const std::filesystem::path& dir) {
  RunData run;
  run.dir = dir;
  run.name = std::filesystem::absolute(dir).lexically_normal().filename().string();
  if (run.name.empty()) run.name = std::filesystem::absolute(dir).lexically_normal().parent_path().filename().string();
  if (!std::filesystem::exists(dir / "metrics.jsonl") && !std::filesystem::exists(dir / "summary.json")) {
    throw UsageError(
        fmt::format("{} has nothing to report yet: it contains neither metrics.jsonl nor summary.json.", dir.string()));
  }
  std::vector<Evaluation> after_stages;
  read_summary(read_json(dir / "summary.json", run.notes), run, after_stages);
  std::vector<Evaluation> found = read_metrics(run);
  int64_t offset = 0;
  for (Stage& stage : run.stages) {
    stage.offset = offset;
    offset += stage.steps;
  }
  found.insert(found.end(), after_stages.begin(), after_stages.end());
  order_evaluations(std::move(found), run);
  note_unfinished(run);

  int64_t skipped = 0;
  const int64_t from = run.before ? run.evaluations[*run.before].global_step : 0;
  const auto global_step = [&](const std::string& name, int64_t step) {
    const Stage* stage = run.stage(name);
    return (stage != nullptr ? stage->offset : 0) + step;
  };
  run.traces = read_trace_pairs(dir / "traces", from, global_step, skipped);
  if (skipped > 0) run.notes.push_back(fmt::format("{} line(s) of traces/ could not be read.", skipped));
  run.config = read_text(dir / "config.yaml");
  run.environment = read_json(dir / "environment.json", run.notes);
  return run;
}

}  // namespace terse::launch::report
