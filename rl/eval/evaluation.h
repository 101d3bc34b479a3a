// Accuracy and length of a policy on a task, by difficulty and by trace form, from raw outcomes only.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rl/rollout/rollout_worker.h"
#include "trainer/mean.h"

namespace terse::rl {

struct EvalOptions {
  int64_t problems_per_difficulty = 300;
  int64_t samples = 4;  // per problem
  double temperature = 1.0;
  uint64_t seed = 1;
  int64_t max_new_tokens = 0;  // longest response
};

// The options of the evaluation after a stage, and of the smaller ones during training.
EvalOptions full_evaluation(const configs::RunConfig& config, const TokenizedTask& task);
EvalOptions quick_evaluation(const configs::RunConfig& config, const TokenizedTask& task);

struct Evaluation {
  struct Bucket {
    int64_t n = 0, correct = 0, tokens = 0, clipped = 0;
    // Empty when there is no sample.
    std::optional<double> accuracy() const { return share(correct); }
    std::optional<double> mean_tokens() const { return share(tokens); }
    std::optional<double> clipped_ratio() const { return share(clipped); }
    std::optional<double> share(int64_t part) const {
      return trainer::mean_of(static_cast<double>(part), static_cast<double>(n));
    }
  };
  // The samples of one task of a mixture.
  struct OfTask {
    Bucket all;                               // the verified ones
    std::map<int64_t, Bucket> by_difficulty;  // difficulties of different tasks are not comparable
    std::map<std::string, trainer::Mean> parts;
    int64_t timeouts = 0, errors = 0;  // samples that could not be verified
    std::optional<double> unverified(int64_t count) const {
      return trainer::mean_of(static_cast<double>(count), static_cast<double>(all.n + timeouts + errors));
    }
  };
  std::string task;
  int64_t samples = 0;                      // per problem
  Bucket all, correct, wrong;               // all verified samples; the correct ones; the wrong ones
  std::map<int64_t, Bucket> by_difficulty;  // empty in a mixture
  std::map<std::string, OfTask> by_task;    // by name; empty if there is no mixture
  std::map<std::string, Bucket> forms;
  std::map<int64_t, double> pass_at_k;  // k = 1, 2, 4, .. up to samples; mean of pass_at_k() over the problems

  nlohmann::json to_json() const;                 // the `eval` object of summary.json
  std::map<std::string, double> metrics() const;  // flat names, "eval/accuracy" and so on
};

// Chance that at least one of k samples, drawn without replacement from `samples` of which `correct` are right, is
// right: Chen et al. 2021 (arXiv 2107.03374), eq. 1. Expects 0 <= correct <= samples and 1 <= k <= samples.
double pass_at_k(int64_t samples, int64_t correct, int64_t k);

// Evaluates on the task's evaluation split: the same problems and random numbers at every call with equal options.
// Calls `inspect`, if given, with every group.
Evaluation evaluate(Engine& engine, const TokenizedTask& task, const EvalOptions& options,
                    const std::function<void(const RolloutGroup&)>& inspect = {});

}  // namespace terse::rl
