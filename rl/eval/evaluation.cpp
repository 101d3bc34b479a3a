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

void count(Evaluation::OfTask& task, int64_t difficulty, const Rollout& rollout) {
  task.timeouts += rollout.status == VerifyStatus::kTimeout ? 1 : 0;
  task.errors += rollout.status == VerifyStatus::kError ? 1 : 0;
  if (rollout.status != VerifyStatus::kOk) return;
  count(task.all, rollout);
  if (difficulty != kNoDifficulty) count(task.by_difficulty[difficulty], rollout);
  for (const auto& [name, value] : rollout.parts) task.parts[name].add(value);
}

nlohmann::json json_of(const std::map<int64_t, Evaluation::Bucket>& by_difficulty) {
  nlohmann::json json;
  for (const auto& [difficulty, bucket] : by_difficulty) {
    json[std::to_string(difficulty)] = {{"n", bucket.n},
                                        {"accuracy", trainer::or_null(bucket.accuracy())},
                                        {"mean_tokens", trainer::or_null(bucket.mean_tokens())}};
  }
  return json;
}

nlohmann::json json_of(const Evaluation::OfTask& task) {
  nlohmann::json json = {{"n", task.all.n},
                         {"timeouts", task.timeouts},
                         {"errors", task.errors},
                         {"accuracy", trainer::or_null(task.all.accuracy())},
                         {"mean_tokens", trainer::or_null(task.all.mean_tokens())}};
  if (!task.by_difficulty.empty()) json["by_difficulty"] = json_of(task.by_difficulty);
  for (const auto& [name, mean] : task.parts) json["parts"][name] = trainer::or_null(mean.value());
  return json;
}

void add_metrics(const std::string& prefix, const std::map<int64_t, Evaluation::Bucket>& by_difficulty,
                 std::map<std::string, double>& out) {
  for (const auto& [difficulty, bucket] : by_difficulty) {
    const std::string suffix = "/difficulty_" + std::to_string(difficulty);
    out.merge(trainer::present(
        {{prefix + "accuracy" + suffix, bucket.accuracy()}, {prefix + "mean_tokens" + suffix, bucket.mean_tokens()}}));
  }
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

  const std::vector<Problem> problems = task.evaluation_problems(options.problems_per_difficulty);
  std::map<int64_t, std::vector<double>> passes;  // pass_at_k() of each problem, by k
  for (size_t begin = 0; begin < problems.size(); begin += kProblemsAtOnce) {
    const size_t end = std::min(problems.size(), begin + kProblemsAtOnce);
    const std::vector<Problem> part(problems.begin() + static_cast<std::ptrdiff_t>(begin),
                                    problems.begin() + static_cast<std::ptrdiff_t>(end));
    for (const RolloutGroup& group : roll_out(engine, task, part, sampling)) {
      int64_t verified = 0, correct = 0;
      for (const Rollout& rollout : group.rollouts) {
        if (!group.problem.task.empty()) count(result.by_task[group.problem.task], group.problem.difficulty, rollout);
        if (rollout.status != VerifyStatus::kOk) continue;  // a failed verification is not a wrong answer
        count(result.all, rollout);
        count(rollout.correct ? result.correct : result.wrong, rollout);
        if (group.problem.difficulty != kNoDifficulty && group.problem.task.empty())
          count(result.by_difficulty[group.problem.difficulty], rollout);
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
  if (!by_difficulty.empty()) json["by_difficulty"] = json_of(by_difficulty);
  for (const auto& [name, of_task] : by_task) json["by_task"][name] = json_of(of_task);
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
  add_metrics("eval/", by_difficulty, out);
  for (const auto& [name, of_task] : by_task) {
    const std::string prefix = "eval/" + metric_prefix(name);
    out.merge(trainer::present({{prefix + "accuracy", of_task.all.accuracy()},
                                {prefix + "mean_tokens", of_task.all.mean_tokens()},
                                {prefix + "clipped_ratio", of_task.all.clipped_ratio()},
                                {prefix + "verifier/timeout", of_task.unverified(of_task.timeouts)},
                                {prefix + "verifier/error", of_task.unverified(of_task.errors)}}));
    for (const auto& [part, mean] : of_task.parts)
      out.merge(trainer::present({{prefix + "reward/" + part, mean.value()}}));
    add_metrics(prefix, of_task.by_difficulty, out);
  }
  for (const auto& [form, bucket] : forms) out.merge(trainer::present({{"eval/forms/" + form, all.share(bucket.n)}}));
  return out;
}

}  // namespace terse::rl
