// Runs a whole run in this process, and reads the files of its folder.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoints/store.h"
#include "configs/load.h"
#include "launch/run/stages/run_stages.h"
#include "rl/tasks/task.h"

namespace terse::support {

// The config that terse makes of this file and these overrides.
inline configs::RunConfig config_of(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return configs::load_text(yaml, "tiny.yaml", overrides, configs::InputFiles::kMustExist, rl::default_config()).config;
}

// Runs, or resumes, the stages of `config` in `dir`, as the only rank. Returns the summary.
inline nlohmann::json run_alone(const configs::RunConfig& config, const std::filesystem::path& dir,
                                trainer::Interrupts* interrupts = nullptr) {
  const auto world = trainer::World::start({});
  return launch::run_stages({config, dir, "test", world.get(), interrupts});
}

inline std::vector<nlohmann::json> json_lines(const std::filesystem::path& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

// Whether a metric depends on the speed of the machine, or on what a rank does at a time.
inline bool tells_time(const std::string& metric) {
  return metric.starts_with("time") || metric.starts_with("engine/") || metric == "step_time" || metric == "mfu" ||
         metric.ends_with("tokens_per_s");
}

// Every record of metrics.jsonl without the metrics that depend on the speed of the machine.
inline std::vector<nlohmann::json> records_of(const std::filesystem::path& dir) {
  std::vector<nlohmann::json> records = json_lines(dir / "metrics.jsonl");
  for (nlohmann::json& record : records) {
    nlohmann::json kept;
    for (const auto& [name, value] : record.items())
      if (!tells_time(name)) kept[name] = value;
    record = std::move(kept);
  }
  return records;
}

// A summary or a part of it, without the times.
inline nlohmann::json without_time(const nlohmann::json& summary) {
  nlohmann::json kept = summary;
  if (kept.is_array()) std::transform(summary.begin(), summary.end(), kept.begin(), without_time);
  if (!kept.is_object()) return kept;
  kept.erase("wall_s");
  kept.erase("train_s");
  for (auto& [name, value] : kept.items()) value = without_time(value);
  return kept;
}

inline bool same_tensors(const checkpoints::StateDict& a, const checkpoints::StateDict& b) {
  return std::equal(
      a.tensors.begin(), a.tensors.end(), b.tensors.begin(), b.tensors.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.shape == y.second.shape && torch::equal(x.second.data, y.second.data);
      });
}

}  // namespace terse::support
