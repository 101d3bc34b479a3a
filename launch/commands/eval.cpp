// terse eval: accuracy and length of a checkpoint on a task, by difficulty and by trace form.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "checkpoints/store.h"
#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/run/resolve.h"
#include "launch/text.h"
#include "rl/eval/evaluate_checkpoint.h"
#include "trainer/saved_model/model_files.h"

namespace terse::launch {
namespace {

struct Options {
  std::string target;
  std::string task;
  std::string config;
  int64_t samples = 0;
  int64_t problems = 0;
  bool json = false;
};

constexpr const char* kMore =
    "Evaluates the newest sound checkpoint of a run folder, or one checkpoint folder, on problems that training never "
    "saw. The\n"
    "run's own seed (run.seed) determines problems and samples, so they are the same at every call, for any batch "
    "size.\n"
    "With --config or --set, and for a model of another program, the task and all options come from the command, as in "
    "a run with\n"
    "stages: [eval] whose model.init is this model.\n\n"
    "Examples:\n"
    "  terse eval runs/quickstart\n"
    "  terse eval runs/quickstart/checkpoints/step-1500 --samples 16 --problems 100\n"
    "  terse eval runs/quickstart --json | jq .by_difficulty\n"
    "  terse eval model.gguf --config configs/smollm2_gsm8k.yaml --problems 10\n"
    "  terse eval model.gguf --task gsm8k --set task.path=train.jsonl --set task.eval_path=test.jsonl --set "
    "engine.max_new_tokens=512";

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

void print_note(const std::string& text) {
  warn("note: {}\n", text);
}

// Evaluates what the checkpoint tells of itself.
nlohmann::json evaluate_alone(const std::filesystem::path& target, const Options& options,
                              const GlobalOptions& globals) {
  rl::EvalRequest request;
  request.target = target;
  request.task = options.task;
  request.samples = options.samples;
  request.problems_per_difficulty = options.problems;
  request.device = globals.device.value_or("auto");
  request.note = print_note;
  return rl::evaluate_checkpoint(request);
}

// Evaluates a model on the task of a configuration.
nlohmann::json evaluate_as_configured(const std::filesystem::path& target, const Options& options,
                                      GlobalOptions globals) {
  if (!options.task.empty()) globals.set.push_back("task.name=" + options.task);
  if (options.samples > 0) globals.set.push_back(fmt::format("eval.samples={}", options.samples));
  if (options.problems > 0) globals.set.push_back(fmt::format("eval.problems_per_difficulty={}", options.problems));
  const ResolvedRun resolved = resolve_evaluation(target, options.config, globals);
  return rl::evaluate_model(resolved.config, *resolved.task.task, print_note);
}

int evaluate(const Options& options, const GlobalOptions& globals) {
  const std::filesystem::path target = resolve_model(options.target);
  const bool is_foreign = trainer::is_model_files(target) && !checkpoints::is_checkpoint(target);
  const bool configured = !options.config.empty() || !globals.set.empty() || (is_foreign && !options.task.empty());
  if (is_foreign && !configured) {
    throw UsageError(fmt::format(
        "{0} is a model of another program, which tells no task to evaluate it on. Name one, and its options, for "
        "example:\nterse eval {1} --task gsm8k --set task.path=train.jsonl --set task.eval_path=test.jsonl",
        options.target, shell_word(options.target)));
  }
  const nlohmann::json eval = on_user_input([&] {
    return configured ? evaluate_as_configured(target, options, globals) : evaluate_alone(target, options, globals);
  });
  if (options.json)
    print_result("{}\n", eval.dump(2));
  else
    print_table(eval);
  return kDone;
}

}  // namespace

void add_eval(const Command& parent) {
  const Command command = parent.add("eval", "Evaluate a run, a checkpoint or another model on a task");
  const auto options = std::make_shared<Options>();
  command.argument("RUN|CHECKPOINT|MODEL", options->target,
                   "Run folder, one folder of its checkpoints/, a Hugging Face folder, or a GGUF file");
  command.option("--task", "NAME", options->task, "Task (default: the run's own)");
  command.option("--config", "FILE", options->config, "Configuration file with the task (default: the run's own)");
  command.number("--samples", options->samples, 1, 1e6, "Samples of each problem (default: eval.samples)");
  command.number("--problems", options->problems, 1, 1e9,
                 "Problems of each difficulty (default: eval.problems_per_difficulty)");
  command.flag("--json", options->json, "Print the result as JSON, as in summary.json");
  command.finish(kSet | kDevice, kMore, [=] { return evaluate(*options, command.globals()); });
}

}  // namespace terse::launch
