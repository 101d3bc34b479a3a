// Writes a run folder like that of a real run, with made-up numbers. The tests of the report read it.
#pragma once

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace terse::support {

struct SyntheticRun {
  std::string name = "quickstart";
  std::vector<std::string> stages = {"sft", "rl", "eval"};
  int64_t sft_steps = 1500;
  int64_t rl_steps = 250;
  int64_t log_every = 10;
  int64_t eval_every = 50;
  double final_tokens = 7.3;  // mean tokens that RL compresses to
  std::string canary;         // inserted wherever a file contains free text
  unsigned seed = 1;

  void write(const std::filesystem::path& folder) const;

 private:
  using json = nlohmann::json;
  static constexpr int kDifficulties = 8;
  static constexpr const char* kForms[] = {"recheck", "verbose", "compact", "states", "direct"};

  struct Cell {
    double accuracy = 0, tokens = 0;
  };
  // Progress of the compression, 0..1, when the fraction `done` of RL is over.
  double compression(double done) const { return (1 - std::exp(-4.2 * done)) / (1 - std::exp(-4.2)); }
  Cell cell(int k, double done) const {
    const double c = compression(done);
    const double before = 3 + 6.4 * k, after = 3 + (final_tokens - 3) * k / 4.5;
    const double start = 0.995 - 0.022 * k;
    const double dip = 0.03 * std::sin(3.14159 * done) * k / 8;  // the length penalty costs a little accuracy meanwhile
    return {std::min(1.0, start + (0.999 - 0.0008 * k - start) * c - dip), before + (after - before) * c};
  }
  std::map<std::string, double> forms(double done) const {
    const double c = compression(done);
    std::map<std::string, double> out;
    double sum = 0;
    for (int f = 0; f < 5; ++f) sum += out[kForms[f]] = std::exp(-std::pow((f - 0.6 - 2.3 * c) / 0.75, 2));
    for (auto& [form, share] : out) share /= sum;
    out["other"] = 0.01 * (1 - c);
    return out;
  }
  json evaluation(double done, bool full) const;
  json summary() const;
  json rl_record(int64_t step, std::mt19937& random) const;
  void write_metrics(const std::filesystem::path& folder) const;
  void write_traces(const std::filesystem::path& folder) const;
};

inline nlohmann::json SyntheticRun::evaluation(double done, bool full) const {
  json flat, cells, shares;
  double accuracy = 0, tokens = 0;
  for (int k = 1; k <= kDifficulties; ++k) {
    const Cell one = cell(k, done);
    accuracy += one.accuracy / kDifficulties;
    tokens += one.tokens / kDifficulties;
    flat["eval/accuracy/difficulty_" + std::to_string(k)] = one.accuracy;
    flat["eval/mean_tokens/difficulty_" + std::to_string(k)] = one.tokens;
    cells[std::to_string(k)] = {{"n", 1200}, {"accuracy", one.accuracy}, {"mean_tokens", one.tokens}};
  }
  for (const auto& [form, share] : forms(done)) {
    flat["eval/forms/" + form] = share;
    shares[form + canary] = {{"share", share}, {"accuracy", 0.97}};
  }
  flat["eval/accuracy"] = accuracy;
  flat["eval/mean_tokens"] = tokens;
  if (!full) return flat;
  return {{"task", "chain7" + canary},
          {"samples", 4},
          {"accuracy", accuracy},
          {"mean_tokens", tokens},
          {"pass_at_k", {{"1", accuracy}, {"4", 1.0}}},
          {"by_difficulty", cells},
          {"forms", shares}};
}

inline nlohmann::json SyntheticRun::summary() const {
  json list = json::array();
  double wall = 0;
  for (const std::string& stage : stages) {
    json entry = {{"stage", stage}};
    const bool rl = stage == "rl", training = stage != "eval";
    entry["steps"] = !training ? 0 : rl ? rl_steps : sft_steps;
    entry["tokens"] = !training ? 0 : rl ? 1'204'233 : 3'871'204;
    entry["wall_s"] = !training ? 21.4 : rl ? 140.2 : 88.6;
    if (stage != "pretrain") entry["eval"] = evaluation(stage == "sft" ? 0 : 1, true);
    wall += entry["wall_s"].get<double>();
    list.push_back(entry);
  }
  return {{"run", name + canary},
          {"commit", "39c67658a90d7859a9c3ba2241ab86f987a94784"},
          {"stages", list},
          {"wall_s", wall}};
}

inline nlohmann::json SyntheticRun::rl_record(int64_t step, std::mt19937& random) const {
  std::normal_distribution<double> noise;
  const double done = static_cast<double>(step) / static_cast<double>(rl_steps);
  json out = {{"loss", 0.01 * noise(random)},
              {"entropy", 0.28 * std::exp(-3 * done) + 0.02 + 0.004 * std::abs(noise(random))},
              {"grad_norm", 0.4 + 0.1 * std::abs(noise(random))},
              {"reward", 0.7 + 0.25 * done + 0.02 * noise(random)},
              {"demonstration_loss", 0.34 * std::exp(-2 * done) + 0.01 * std::abs(noise(random))},
              {"kl", 0.002 + 0.0005 * std::abs(noise(random))},
              {"lr", 3e-4},
              {"tokens_per_s", 46000 - 14000 * done + 900 * noise(random)},
              {"compression/pressure", std::min(1.0, 0.1 + 1.1 * compression(done)) - 0.04 * std::abs(noise(random))},
              {"compression/correct_negative", 0.2 * (1 - done) + 0.02},
              {"sampling/logp_diff/max", 0.0},
              {"completions/clipped_ratio", 0.0}};
  double accuracy = 0, tokens = 0;
  for (int k = 1; k <= kDifficulties; ++k) {
    Cell one = cell(k, done);
    one.accuracy = std::clamp(one.accuracy + 0.012 * noise(random), 0.0, 1.0);
    one.tokens += 0.6 * noise(random);
    out["accuracy/difficulty_" + std::to_string(k)] = one.accuracy;
    out["completions/mean_length/difficulty_" + std::to_string(k)] = one.tokens;
    accuracy += one.accuracy / kDifficulties;
    tokens += one.tokens / kDifficulties;
  }
  out["accuracy"] = accuracy;
  out["completions/mean_length"] = tokens;
  out["completions/mean_length_correct"] = tokens * 0.98;
  out["completions/mean_length_wrong"] = tokens * 1.2;
  for (const auto& [form, share] : forms(done)) out["forms/" + form] = share;
  return out;
}

inline void SyntheticRun::write_metrics(const std::filesystem::path& folder) const {
  std::ofstream file(folder / "metrics.jsonl");
  std::mt19937 random(seed);
  std::normal_distribution<double> noise;
  double time = 1.7e9;
  const auto line = [&](const std::string& stage, int64_t step, json values) {
    values["time"] = time += 0.5;
    values["stage"] = stage;
    values["step"] = step;
    file << values.dump() << '\n';
  };
  for (const std::string& stage : stages) {
    if (stage == "rl") {
      for (int64_t step = 1; step <= rl_steps; ++step) {
        json values = rl_record(step, random);
        const bool evaluate = step % eval_every == 0 && step < rl_steps;
        if (evaluate) values.update(evaluation(static_cast<double>(step) / static_cast<double>(rl_steps), false));
        if (evaluate || step == rl_steps || step % log_every == 0) line(stage, step, values);
      }
      line(stage, rl_steps, evaluation(1, false));
    } else if (stage == "eval") {
      line(stage, 0, evaluation(1, false));
    } else {
      for (int64_t step = log_every; step <= sft_steps; step += log_every) {
        const double done = static_cast<double>(step) / static_cast<double>(sft_steps);
        json values = {{"loss", 0.55 + 2.1 * std::exp(-9 * done) + 0.03 * noise(random)},
                       {"grad_norm", 0.3 + 2 * std::exp(-8 * done) + 0.05 * std::abs(noise(random))},
                       {"lr", 2e-3 * (1 - done)},
                       {"tokens_per_s", 51000 + 1500 * noise(random)}};
        if (stage == "pretrain" && step % 250 == 0) {
          values["val_loss"] = 0.62 + 2.1 * std::exp(-9 * done);
          values["bits_per_byte"] = (0.62 + 2.1 * std::exp(-9 * done)) / std::log(2.0);
        }
        line(stage, step, values);
      }
      if (stage == "sft") line(stage, sft_steps, evaluation(0, false));
    }
  }
}

inline void SyntheticRun::write_traces(const std::filesystem::path& folder) const {
  std::filesystem::create_directories(folder / "traces");
  const std::string chain = "3 + 4 * 2 + 6 * 5 + 1 * 3 + 2 + 5";
  const auto line = [&](std::ofstream& file, const std::string& stage, int64_t step, int k, int problem, bool early) {
    std::string prompt = "<bos> " + std::to_string(problem), response;
    for (int i = 0; i < k; ++i) prompt += i % 2 == 0 ? " + 4" : " * 2";
    for (int i = 0; i < k; ++i) response += early ? (i % 2 == 0 ? "3 + 4 > 0 ; " : "0 * 2 > 0 ; ") : "0 ";
    if (early) response += "? " + response;
    response += canary + "</think> 0 <eos>";
    file << json{{"stage", stage},
                 {"step", step},
                 {"problem", problem},
                 {"difficulty", k},
                 {"prompt", prompt + " =" + canary},
                 {"response", response},
                 {"tokens", early ? 12 * k + 4 : k + 3},
                 {"correct", !(early && (k + problem) % 3 == 0)},
                 {"form", early ? "recheck" : "states"},
                 {"reward", 1.0},
                 {"logged_for", "eval"}}
                .dump()
         << '\n';
  };
  for (const std::string& stage : stages) {
    if (stage == "pretrain") continue;
    std::ofstream file(folder / "traces" / (stage + ".jsonl"));
    const int64_t step = stage == "sft" ? sft_steps : stage == "rl" ? rl_steps : 0;
    for (int k = 1; k <= kDifficulties; ++k)
      for (int problem = 0; problem < 4; ++problem) line(file, stage, step, k, problem, stage == "sft");
  }
}

inline void SyntheticRun::write(const std::filesystem::path& folder) const {
  std::filesystem::create_directories(folder);
  write_metrics(folder);
  write_traces(folder);
  std::ofstream(folder / "summary.json") << summary().dump(2) << '\n';
  std::ofstream(folder / "config.yaml") << "# resolved " << canary
                                        << "\nstages: [sft, rl, eval]\nrun:\n  name: " << name
                                        << "\n  seed: 1\nmodel:\n  layers: 3\n  hidden_size: 64\n";
  const json environment = {
      {"commit", "39c67658a90d7859a9c3ba2241ab86f987a94784"},
      {"dirty", false},
      {"host", "box" + canary},
      {"cpu", {{"model", "AMD EPYC 9B14"}, {"cores", 2}, {"features", {"avx2", "avx512f"}}}},
      {"libraries", {{"torch", "2.11.0"}, {"hdf5", "1.10.8"}}},
      {"command", {"build/terse", "run", "configs/quickstart.yaml", "--set", "run.name=a b" + canary}},
      {"starts", json::array({{{"time", "2026-11-21T07:15:48Z"}}})}};
  std::ofstream(folder / "environment.json") << environment.dump(2) << '\n';
}

}  // namespace terse::support
