// Gathers what a run folder holds for the report: curves, evaluations and traces. What cannot be read becomes a note.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rl/types.h"

namespace terse::launch::report {

struct Point {
  double x = 0;
  double y = 0;
};

// A curve of bounded size. However many points a run logged, a chart gets at most kMaxPoints of them, and no spike is
// lost.
class Series {
 public:
  static constexpr size_t kMaxPoints = 2000;

  // Adds a point. A point that is not finite, or whose x is smaller than the last one, is left out. A point with the
  // same x replaces the last one; it is left out if the last one is already merged with others.
  void add(double x, double y);

  // Returns the points in order of x. Up to kMaxPoints points they are the logged ones. Beyond that, each stretch of
  // equally many points is represented by its lowest and its highest point. The last point is always included.
  std::vector<Point> points() const;

  bool empty() const { return buckets_.empty(); }
  Point last() const { return last_; }

 private:
  struct Bucket {
    Point low, high;
    int64_t count = 0;
  };
  bool full() const;  // true when there is no room for one more point
  void halve();

  std::vector<Bucket> buckets_;
  int64_t stride_ = 1;  // points per bucket
  Point last_;
};

struct Trace {
  std::string stage;
  int64_t step = 0;
  std::string response;  // truncated when very long
  int64_t tokens = 0;
  bool correct = false;
  std::string form;
};

// Sampled responses to the same problem, at the first and at the last evaluation.
struct TracePair {
  std::string prompt;
  rl::Difficulty difficulty = 0;
  Trace before, after;
};

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
  // Only where both values are known. In a mixture, rl::kNoDifficulty stands for all problems of a task.
  std::map<rl::Difficulty, Cell> by_difficulty;
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
  // True when the task of the evaluations is a mixture.
  bool mixes() const;
  // True when there are two evaluations to compare.
  bool compares() const { return before && *before != *after; }
  const Evaluation& at_before() const { return evaluations[*before]; }
  const Evaluation& at_after() const { return evaluations[*after]; }
};

// "3", or in a mixture "gsm" for all problems of a task and "gsm 3" for a difficulty of it.
std::string label_of(const rl::Difficulty& difficulty);

// Throws UsageError when the folder holds neither metrics nor a summary.
RunData read_run(const std::filesystem::path& dir);

// Reads the evaluation traces in `folder`/<stage>.jsonl and pairs them by problem: the earliest one at or after `from`
// (a global step) and the latest one. Returns the first problems of each difficulty, at most 16 in all, whatever their
// outcome. `global_step(stage, step)` orders the traces. `skipped` grows by the number of lines that cannot be read.
std::vector<TracePair> read_trace_pairs(const std::filesystem::path& folder, int64_t from,
                                        const std::function<int64_t(const std::string&, int64_t)>& global_step,
                                        int64_t& skipped);

// Read a field of untrusted JSON. A field that is missing or has another type gives nothing, an empty text or false.
std::optional<double> number_of(const nlohmann::json& object, const std::string& key);
int64_t integer_of(const nlohmann::json& object, const std::string& key, int64_t otherwise = 0);
std::string text_of(const nlohmann::json& object, const std::string& key);
bool flag_of(const nlohmann::json& object, const std::string& key);

}  // namespace terse::launch::report
