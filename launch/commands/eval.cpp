// terse eval: accuracy and length of a checkpoint on a task, by difficulty and by trace form.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/run/resolve.h"
#include "launch/text.h"
#include "rl/eval/evaluate_checkpoint.h"

namespace terse::launch {
namespace {

struct Options {
  std::string target;
  std::string task;
  int64_t samples = 0;
  int64_t problems = 0;
  bool json = false;
};

constexpr const char* kMore =
    "Evaluates the newest sound checkpoint of a run folder, or one checkpoint folder, on problems that training never "
    "saw. The\n"
    "run's own seed (run.seed) determines problems and samples, so they are the same at every call, for any batch "
    "size.\n\n"
    "Examples:\n"
    "  terse eval runs/quickstart\n"
    "  terse eval runs/quickstart/checkpoints/step-1500 --samples 16 --problems 100\n"
    "  terse eval runs/quickstart --json | jq .by_difficulty";

// A mean over no samples is null.
std::string share(const nlohmann::json& value) {
  return value.is_null() ? "-" : fmt::format("{:.4f}", value.get<double>());
}
std::string length(const nlohmann::json& value) {
  return value.is_null() ? "-" : fmt::format("{:.2f}", value.get<double>());
}

// Sorts the keys as numbers: keys of JSON are strings, but difficulties are numbers.
std::vector<std::string> keys_by_number(const nlohmann::json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  std::sort(keys.begin(), keys.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return keys;
}

void print_table(const nlohmann::json& eval) {
  std::vector<std::vector<std::string>> rows = {{"difficulty", "n", "accuracy", "mean tokens"}};
  const nlohmann::json by_difficulty = eval.value("by_difficulty", nlohmann::json::object());
  int64_t n = 0;
  for (const std::string& key : keys_by_number(by_difficulty)) {
    const nlohmann::json& row = by_difficulty.at(key);
    n += row.at("n").get<int64_t>();
    rows.push_back(
        {key, with_thousands(row.at("n").get<int64_t>()), share(row.at("accuracy")), length(row.at("mean_tokens"))});
  }
  rows.push_back({"all", with_thousands(n), share(eval.at("accuracy")), length(eval.at("mean_tokens"))});
  print_result("{}, {} samples of each problem\n\n{}", eval.value("task", "task"), eval.value("samples", int64_t{1}),
               table(rows));
  const nlohmann::json pass_at_k = eval.value("pass_at_k", nlohmann::json::object());
  std::string passes;
  for (const std::string& k : keys_by_number(pass_at_k))
    passes += fmt::format("{}pass@{} {}", passes.empty() ? "" : ", ", k, share(pass_at_k.at(k)));
  if (!passes.empty()) print_result("\n{}\n", passes);
  const nlohmann::json forms = eval.value("forms", nlohmann::json::object());
  if (forms.empty()) return;
  rows = {{"form", "share", "accuracy"}};
  for (const auto& [form, row] : forms.items())
    rows.push_back({form, share(row.at("share")), share(row.at("accuracy"))});
  print_result("\n{}", table(rows, /*left=*/{0}));
}

int evaluate(const Options& options, const GlobalOptions& globals) {
  rl::EvalRequest request;
  request.target = resolve_target(options.target);
  request.task = options.task;
  request.samples = options.samples;
  request.problems_per_difficulty = options.problems;
  request.device = globals.device.value_or("auto");
  request.note = [](const std::string& text) { warn("note: {}\n", text); };
  const nlohmann::json eval = on_user_input([&] { return rl::evaluate_checkpoint(request); });
  if (options.json)
    print_result("{}\n", eval.dump(2));
  else
    print_table(eval);
  return kDone;
}

}  // namespace

void add_eval(const Command& parent) {
  const Command command = parent.add("eval", "Evaluate a run or a checkpoint on a task");
  const auto options = std::make_shared<Options>();
  command.argument("RUN|CHECKPOINT", options->target, "Run folder, or one folder of its checkpoints/");
  command.option("--task", "NAME", options->task, "Task (default: the run's own)");
  command.number("--samples", options->samples, 1, 1e6, "Samples of each problem (default: eval.samples)");
  command.number("--problems", options->problems, 1, 1e9,
                 "Problems of each difficulty (default: eval.problems_per_difficulty)");
  command.flag("--json", options->json, "Print the result as JSON, as in summary.json");
  command.finish(kDevice, kMore, [=] { return evaluate(*options, command.globals()); });
}

}  // namespace terse::launch
