// Counts raw outcomes. Shaped rewards play no role here.
#include "rl/eval/evaluation.h"

#include <algorithm>

#include "rl/tasks/limits.h"

namespace terse::rl {

namespace {

constexpr int64_t kProblemsAtOnce = 256;

void count(Evaluation::Bucket& bucket, const Rollout& rollout) {
  bucket.n += 1;
  bucket.correct += rollout.correct ? 1 : 0;
  bucket.tokens += rollout.length();
  bucket.clipped += rollout.finish == FinishReason::kLength ? 1 : 0;
}

// The first `count` problems of each difficulty. Those of a finite split come in order of index.
std::vector<Problem> evaluation_problems(const TokenizedTask& task, int64_t count) {
  std::vector<Problem> problems;
  if (const std::optional<int64_t> size = task.size(Split::kEval)) {
    std::map<int64_t, int64_t> taken;
    for (int64_t i = 0; i < *size; ++i) {
      Problem problem = task.problem(Split::kEval, i);
      if (taken[problem.difficulty]++ < count) problems.push_back(std::move(problem));
    }
    return problems;
  }
  for (const int64_t difficulty : task.difficulties()) {
    for (int64_t i = 0; i < count; ++i) problems.push_back(task.problem(Split::kEval, i, difficulty));
  }
  return problems;
}

}  // namespace

double pass_at_k(int64_t samples, int64_t correct, int64_t k) {
  if (samples - correct < k) return 1.0;
  double all_wrong = 1.0;
  for (int64_t i = samples - correct + 1; i <= samples; ++i)
    all_wrong *= 1.0 - static_cast<double>(k) / static_cast<double>(i);
  return 1.0 - all_wrong;
}

EvalOptions full_evaluation(const configs::RunConfig& config, const TokenizedTask& task) {
  return {config.eval.problems_per_difficulty, config.eval.samples, config.eval.temperature,
          static_cast<uint64_t>(config.run.seed), response_limit(config, task)};
}

EvalOptions quick_evaluation(const configs::RunConfig& config, const TokenizedTask& task) {
  EvalOptions options = full_evaluation(config, task);
  options.problems_per_difficulty = config.eval.quick_problems_per_difficulty;
  options.samples = 1;
  return options;
}

Evaluation evaluate(Engine& engine, const TokenizedTask& task, const EvalOptions& options,
                    const std::function<void(const RolloutGroup&)>& inspect) {
  Evaluation result;
  result.task = task.name();
  result.samples = options.samples;
  SamplingParams sampling;
  sampling.transform.temperature = options.temperature;
  sampling.max_new_tokens = options.max_new_tokens;
  sampling.stop_token_ids = task.tokenizer().eos_ids();
  sampling.n = options.samples;
  sampling.seed = options.seed;
  sampling.stream = RandomStream::kEvalSample;

  const std::vector<Problem> problems = evaluation_problems(task, options.problems_per_difficulty);
  std::map<int64_t, std::vector<double>> passes;  // pass_at_k() of each problem, by k
  for (size_t begin = 0; begin < problems.size(); begin += kProblemsAtOnce) {
    const size_t end = std::min(problems.size(), begin + kProblemsAtOnce);
    const std::vector<Problem> part(problems.begin() + static_cast<std::ptrdiff_t>(begin),
                                    problems.begin() + static_cast<std::ptrdiff_t>(end));
    for (const RolloutGroup& group : roll_out(engine, task, part, sampling)) {
      int64_t verified = 0, correct = 0;
      for (const Rollout& rollout : group.rollouts) {
        if (rollout.status != VerifyStatus::kOk) continue;  // a failed verification is not a wrong answer
        count(result.all, rollout);
        count(rollout.correct ? result.correct : result.wrong, rollout);
        if (group.problem.difficulty != kNoDifficulty) count(result.by_difficulty[group.problem.difficulty], rollout);
        if (!rollout.form.empty()) count(result.forms[rollout.form], rollout);
        verified += 1;
        correct += rollout.correct ? 1 : 0;
      }
      for (int64_t k = 1; k <= verified; k *= 2) passes[k].push_back(pass_at_k(verified, correct, k));
      if (inspect) inspect(group);
    }
  }
  for (const auto& [k, values] : passes) {
    for (const double value : values) result.pass_at_k[k] += value / static_cast<double>(values.size());
  }
  return result;
}

nlohmann::json Evaluation::to_json() const {
  using trainer::or_null;
  nlohmann::json json = {{"task", task},
                         {"samples", samples},
                         {"n", all.n},
                         {"accuracy", or_null(all.accuracy())},
                         {"mean_tokens", or_null(all.mean_tokens())},
                         {"mean_tokens_correct", or_null(correct.mean_tokens())},
                         {"mean_tokens_wrong", or_null(wrong.mean_tokens())}};
  for (const auto& [k, value] : pass_at_k) json["pass_at_k"][std::to_string(k)] = value;
  for (const auto& [difficulty, bucket] : by_difficulty) {
    json["by_difficulty"][std::to_string(difficulty)] = {
        {"n", bucket.n}, {"accuracy", or_null(bucket.accuracy())}, {"mean_tokens", or_null(bucket.mean_tokens())}};
  }
  for (const auto& [form, bucket] : forms)
    json["forms"][form] = {{"share", or_null(all.share(bucket.n))}, {"accuracy", or_null(bucket.accuracy())}};
  return json;
}

std::map<std::string, double> Evaluation::metrics() const {
  std::map<std::string, double> out = trainer::present({{"eval/accuracy", all.accuracy()},
                                                        {"eval/mean_tokens", all.mean_tokens()},
                                                        {"eval/mean_tokens_correct", correct.mean_tokens()},
                                                        {"eval/mean_tokens_wrong", wrong.mean_tokens()},
                                                        {"eval/clipped_ratio", all.clipped_ratio()}});
  for (const auto& [k, value] : pass_at_k) out["eval/pass_at_" + std::to_string(k)] = value;
  for (const auto& [difficulty, bucket] : by_difficulty) {
    const std::string suffix = "/difficulty_" + std::to_string(difficulty);
    out.merge(trainer::present(
        {{"eval/accuracy" + suffix, bucket.accuracy()}, {"eval/mean_tokens" + suffix, bucket.mean_tokens()}}));
  }
  for (const auto& [form, bucket] : forms) out.merge(trainer::present({{"eval/forms/" + form, all.share(bucket.n)}}));
  return out;
}

}  // namespace terse::rl
