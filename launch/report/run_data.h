// Gathers what a run folder holds for the report. What cannot be read becomes a note.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "launch/report/series.h"
#include "launch/report/traces.h"

namespace terse::launch::report {

// One evaluation on the task, during a stage or after it.
struct Evaluation {
  struct Cell {
    double n = 0;  // 0: unknown
    double accuracy = 0;
    double mean_tokens = 0;
  };
  std::string stage;
  int64_t step = 0;         // within the stage
  int64_t global_step = 0;  // over all stages
  bool after_stage = false;
  double accuracy = 0;
  double mean_tokens = 0;
  std::map<int64_t, Cell> by_difficulty;        // only where both values are known
  std::map<std::string, double> forms;          // share of responses
  std::map<std::string, double> form_accuracy;  // after a stage only
};

struct Stage {
  std::string name;
  int64_t steps = 0;   // done
  int64_t offset = 0;  // steps of the stages before it
  int64_t tokens = 0;
  double wall_s = 0;
  bool finished = false;                 // summary.json has an entry for it
  std::map<std::string, Series> curves;  // metric name to values over the stage's steps
};

struct RunData {
  std::filesystem::path dir;
  std::string name;
  std::string task;  // of the evaluations; empty: none
  std::vector<Stage> stages;
  std::vector<Evaluation> evaluations;  // by global step, at most one for each
  // The two evaluations that the outcome compares, as indices into `evaluations`. `before` is the one after supervised
  // fine-tuning, or the first one when there is no such stage. `after` is the last one. They are equal when there is
  // only one evaluation, and empty when there is none.
  std::optional<size_t> before, after;
  double wall_s = 0;  // 0: unknown
  std::vector<TracePair> traces;
  std::string config;              // config.yaml, empty when missing
  nlohmann::json environment;      // null when missing
  std::vector<std::string> notes;  // what could not be read, in sentences

  const Stage* stage(const std::string& stage_name) const;
  // True when there are two evaluations to compare.
  bool compares() const { return before && *before != *after; }
  const Evaluation& at_before() const { return evaluations[*before]; }
  const Evaluation& at_after() const { return evaluations[*after]; }
};

// Throws UsageError when the folder holds neither metrics nor a summary.
RunData read_run(const std::filesystem::path& dir);

}  // namespace terse::launch::report
