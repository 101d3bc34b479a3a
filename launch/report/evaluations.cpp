// The files are untrusted, so a value that is missing or has another type is left out.
#include "launch/report/evaluations.h"

#include <fmt/format.h>

#include <string_view>

#include "configs/fields.h"

namespace terse::launch::report {
namespace {

// Returns the number that follows `prefix`: 3 for "accuracy/difficulty_3" with the prefix "accuracy/difficulty_".
std::optional<int64_t> number_behind(const std::string& name, const std::string& prefix) {
  if (!name.starts_with(prefix) || name.size() == prefix.size() || name.size() > prefix.size() + 9) return std::nullopt;
  int64_t value = 0;
  for (char c : name.substr(prefix.size())) {
    if (c < '0' || c > '9') return std::nullopt;
    value = 10 * value + (c - '0');
  }
  return value;
}

// Returns what a metric of accuracy covers: difficulty 3 for "eval/accuracy/difficulty_3", all of gsm for
// "eval/task/gsm/accuracy". Any other name, and that of the whole evaluation, gives nothing.
std::optional<rl::Difficulty> covered_by(std::string_view name) {
  constexpr std::string_view kEval = "eval/", kTask = "task/", kAccuracy = "accuracy";
  if (!name.starts_with(kEval)) return std::nullopt;
  name.remove_prefix(kEval.size());
  std::string task;
  if (name.starts_with(kTask)) {
    name.remove_prefix(kTask.size());
    task = name.substr(0, name.find('/'));
    if (!configs::is_part_name(task) || task.size() == name.size()) return std::nullopt;
    name.remove_prefix(task.size() + 1);
  }
  if (name == kAccuracy && !task.empty()) return rl::Difficulty(rl::kNoDifficulty, task);
  const auto k = number_behind(std::string(name), "accuracy/difficulty_");
  return k ? std::optional(rl::Difficulty(*k, task)) : std::nullopt;
}

// The cells of an object by difficulty in summary.json.
void read_cells(const nlohmann::json& by_difficulty, const std::string& task, Evaluation& out) {
  for (const auto& [name, cell] : by_difficulty.items()) {
    const auto k = number_behind("k" + name, "k");
    const auto right = number_of(cell, "accuracy"), length = number_of(cell, "mean_tokens");
    if (k && right && length) out.by_difficulty[{*k, task}] = {number_of(cell, "n").value_or(0), *right, *length};
  }
}

void read_task(const std::string& name, const nlohmann::json& task, Evaluation& out) {
  const auto right = number_of(task, "accuracy"), length = number_of(task, "mean_tokens");
  if (!configs::is_part_name(name) || !right || !length) return;
  out.by_difficulty[{rl::kNoDifficulty, name}] = {number_of(task, "n").value_or(0), *right, *length};
  if (task.contains("by_difficulty")) read_cells(task["by_difficulty"], name, out);
}

}  // namespace

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
    if (const auto covered = covered_by(name)) {
      const std::string suffix = covered->value < 0 ? "" : fmt::format("/difficulty_{}", covered->value);
      const auto length = number_of(record, "eval/" + rl::metric_prefix(covered->task) + "mean_tokens" + suffix);
      if (length) out.by_difficulty[*covered] = {0, value, *length};
    }
    if (name.starts_with("eval/forms/")) out.forms[name.substr(11)] = value;
  }
  return out;
}

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
  if (eval.contains("by_difficulty")) read_cells(eval["by_difficulty"], "", out);
  if (eval.contains("by_task"))
    for (const auto& [name, task] : eval["by_task"].items()) read_task(name, task, out);
  if (eval.contains("forms")) {
    for (const auto& [name, form] : eval["forms"].items()) {
      if (const auto share = number_of(form, "share")) out.forms[name] = *share;
      if (const auto right = number_of(form, "accuracy")) out.form_accuracy[name] = *right;
    }
  }
  return out;
}

}  // namespace terse::launch::report
