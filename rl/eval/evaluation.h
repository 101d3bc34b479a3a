// Accuracy and length of a policy on a task, by difficulty and by trace form, from raw outcomes only.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rl/rollout_worker.h"

namespace terse::rl {

struct EvalOptions {
  int64_t problems_per_difficulty = 300;
  int64_t samples = 4;  // of each problem
  double temperature = 1.0;
  uint64_t seed = 1;
  int64_t max_new_tokens = 0;  // longest response; 0: the task's own limit
};

// After a stage, and during training.
EvalOptions full_evaluation(const configs::RunConfig& config);
EvalOptions quick_evaluation(const configs::RunConfig& config);

struct Evaluation {
  struct Bucket {
    int64_t n = 0, correct = 0, tokens = 0, clipped = 0;
    double accuracy() const { return n > 0 ? static_cast<double>(correct) / static_cast<double>(n) : 0; }
    double mean_tokens() const { return n > 0 ? static_cast<double>(tokens) / static_cast<double>(n) : 0; }
  };
  std::string task;
  int64_t samples = 0;         // per problem
  Bucket all, correct, wrong;  // all samples; those that came out right; the others
  std::map<int64_t, Bucket> by_difficulty;
  std::map<std::string, Bucket> forms;
  std::map<int64_t, double> pass_at_k;  // k = 1, 2, 4, .. up to samples; unbiased (Chen et al. 2021, eq. 1)

  nlohmann::json to_json() const;                 // the `eval` object of summary.json
  std::map<std::string, double> metrics() const;  // flat names, "eval/accuracy" and so on
};

// Evaluates on the task's evaluation split: the same problems and random numbers at every call with equal options.
// `inspect`, when given, sees every group.
Evaluation evaluate(Engine& engine, const Task& task, const EvalOptions& options,
                    const std::function<void(const RolloutGroup&)>& inspect = {});

}  // namespace terse::rl
