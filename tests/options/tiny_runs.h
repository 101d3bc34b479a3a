// Tiny runs of each stage, changed by settings, and accessors to their results.
//
// Runs are cached by their settings for the life of the process, so checks share them. Reinforcement learning starts
// from a policy that is fine-tuned once: its run folder is copied, and the run resumes from there.
#pragma once

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <set>

#include "configs/load.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_bytes.h"
#include "tests/support/tiny_run.h"

namespace terse::options {

namespace fs = std::filesystem;

using Settings = std::vector<std::string>;  // "rl.steps=3", as for --set: the later of two wins
using Weights = std::map<std::string, torch::Tensor>;

inline Settings operator+(Settings a, const Settings& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// The results of one run. Steps count within its last stage.
class Observed {
 public:
  configs::RunConfig config = rl::default_config();
  nlohmann::json summary;
  double peak_bytes = 0;  // peak of tensors
  int64_t threads = 0;    // number that the run has set
  support::TemporaryFolder folder;
  int64_t steps_before = 0;  // steps of the stages before the last one

  const fs::path& dir() const { return folder.path(); }
  std::string stage() const { return config.stages.back(); }
  const nlohmann::json& result() const { return summary.at("stages").back(); }
  const nlohmann::json& eval() const { return result().at("eval"); }

  // The records of the last stage's training, without those of the evaluation that follows it.
  std::vector<nlohmann::json> training() const {
    std::vector<nlohmann::json> all;
    for (const nlohmann::json& record : support::records_of(dir()))
      if (record.at("stage") == stage() && record.contains("lr")) all.push_back(record);
    return all;
  }
  // The same without the results of evaluations during training.
  std::vector<nlohmann::json> training_alone() const {
    std::vector<nlohmann::json> all = training();
    for (nlohmann::json& record : all) {
      nlohmann::json kept;
      for (const auto& [name, value] : record.items())
        if (!name.starts_with("eval/") && name != "val_loss" && name != "bits_per_byte") kept[name] = value;
      record = kept;
    }
    return all;
  }
  // The values of a metric in the records that have it, in order.
  std::vector<double> metric(const std::string& name) const {
    std::vector<double> values;
    for (const nlohmann::json& record : training())
      if (record.contains(name)) values.push_back(record.at(name).get<double>());
    return values;
  }
  std::vector<int64_t> steps_with(const std::string& name) const {
    std::vector<int64_t> steps;
    for (const nlohmann::json& record : training())
      if (record.contains(name)) steps.push_back(record.at("step"));
    return steps;
  }
  std::vector<nlohmann::json> traces(const std::string& logged_for) const {
    std::vector<nlohmann::json> kept;
    for (nlohmann::json& line : support::json_lines(dir() / "traces" / (stage() + ".jsonl")))
      if (line.at("logged_for") == logged_for) kept.push_back(std::move(line));
    return kept;
  }

  // Checkpoints by the step of the last stage, and what is in them.
  std::set<int64_t> checkpoints() const {
    std::set<int64_t> steps;
    for (const fs::path& path : checkpoints::list_checkpoints(dir() / "checkpoints"))
      steps.insert(std::stoll(path.filename().string().substr(5)) - steps_before);
    return steps;
  }
  checkpoints::Store::Loaded saved(int64_t step) const {
    return checkpoints::load(dir() / "checkpoints" / fmt::format("step-{}", steps_before + step));
  }
  // The tensors whose names begin with `prefix`, by their names without it.
  static Weights tensors(const checkpoints::StateDict& state, const std::string& prefix) {
    Weights found;
    for (const auto& [name, shard] : state.tensors)
      if (name.starts_with(prefix))
        found[name.substr(prefix.size())] = shard.data.view(shard.shape).to(torch::kFloat64);
    return found;
  }
  static Weights weights(const checkpoints::StateDict& state) {
    Weights found = tensors(state, "model.");
    found.merge(tensors(state, "lm_head"));
    return found;
  }
  Weights weights(int64_t step) const { return weights(saved(step).state); }
  // The weights at the end of the run.
  Weights weights() const { return weights(checkpoints::load_latest(dir() / "checkpoints")->state); }
};

// All elements, flat.
inline torch::Tensor flat(const Weights& weights) {
  std::vector<torch::Tensor> all;
  for (const auto& [name, tensor] : weights) all.push_back(tensor.flatten());
  return torch::cat(all);
}
inline double norm(const Weights& weights) {
  return flat(weights).norm().item<double>();
}
inline bool same(const Weights& a, const Weights& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && torch::equal(x.second, y.second);
  });
}
// Whether two runs trained identically to the last bit: all records of training and the final weights are equal.
inline bool same_training(const Observed& a, const Observed& b) {
  return a.training_alone() == b.training_alone() && same(a.weights(), b.weights());
}

namespace base {

inline constexpr const char* kCommon = R"(
run: {device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 64, init_std: 0.2}
task: {k_min: 2, k_max: 2, align_to: 2, forms: {direct: 1}}
pretrain: {steps: 3, batch_size: 4, seq_len: 16, eval_batches: 2, eval_every: 0}
sft: {steps: 3, batch_size: 4}
rl:
  steps: 3
  prompts: 4
  group_size: 8
  demonstrations: 0
  max_resample_rounds: 0
  penalty: {kind: none}
  student: {updates: 1, traces: 4}
  eval_every: 0
  trace_every: 0
eval: {problems_per_difficulty: 3, samples: 2, quick_problems_per_difficulty: 2}
checkpoint: {every: 1, keep: 100}
)";

// A text of three kinds of words, so that there is something to learn. Only its last tenth has the byte z.
inline std::string text() {
  std::string all;
  for (int i = 0; i < 90; ++i) all += i % 3 == 0 ? "abcab|" : i % 3 == 1 ? "bca|" : "cabbac|";
  return all + std::string(all.size() / 9, 'z');
}

// The policy that reinforcement learning starts from: some of its answers are right, and it is short.
inline const Settings kPolicy = {"sft.steps=60", "sft.batch_size=16", "sft.optimizer.lr=0.01", "checkpoint.every=0"};

}  // namespace base

// The path of a file with base::kCommon, for runs of the program.
inline std::string tiny_file() {
  static const support::TemporaryFolder folder;
  static const std::string path = folder.path() / "tiny.yaml";
  if (!fs::exists(path)) std::ofstream(path) << base::kCommon;
  return path;
}

inline configs::RunConfig load(const Settings& settings) {
  return support::config_of(base::kCommon, settings);
}

inline void execute(Observed& run) {
  const support::CountTensorBytes count;
  run.summary = support::run_alone(run.config, run.dir());
  run.peak_bytes = count.bytes().peak();
  run.threads = at::get_num_threads();
}

using Runs = std::map<std::string, std::unique_ptr<Observed>>;

// Returns the cached run of `settings`. The first time, `begin` prepares the run and it is executed.
inline const Observed& remembered(Runs& runs, const Settings& settings, const std::function<void(Observed&)>& begin) {
  std::unique_ptr<Observed>& run = runs[fmt::format("{}", fmt::join(settings, " "))];
  if (run) return *run;
  auto made = std::make_unique<Observed>();
  begin(*made);
  execute(*made);
  run = std::move(made);
  return *run;
}

inline const Observed& pretrain(const Settings& settings = {}) {
  static Runs runs;
  return remembered(runs, settings, [&](Observed& run) {
    const fs::path text = run.dir() / "text.txt";
    std::ofstream(text) << base::text();
    run.config = load(Settings{"stages=[pretrain]", "data.train=" + text.string()} + settings);
  });
}

inline const Observed& finetune(const Settings& settings = {}) {
  static Runs runs;
  return remembered(runs, settings, [&](Observed& run) { run.config = load(Settings{"stages=[sft]"} + settings); });
}

// `policy`: settings that the fine-tuning before it has as well.
inline const Observed& reinforce(const Settings& settings = {}, const Settings& policy = {}) {
  static Runs runs;
  return remembered(runs, policy + Settings{"|"} + settings, [&](Observed& run) {
    const Observed& before = finetune(base::kPolicy + policy);
    for (const char* part : {"checkpoints", "metrics.jsonl"})
      fs::copy(before.dir() / part, run.dir() / part, fs::copy_options::recursive);
    run.steps_before = before.config.sft.steps;
    run.config = load(Settings{"stages=[sft,rl]"} + policy + settings);
    run.config.parallel.layout = "colocated";  // this one rank also generates, even for settings with layout split
  });
}

// The run of a stage by its name.
inline const Observed& run_of(const std::string& stage, const Settings& settings = {}) {
  return stage == "pretrain" ? pretrain(settings) : stage == "sft" ? finetune(settings) : reinforce(settings);
}

}  // namespace terse::options
