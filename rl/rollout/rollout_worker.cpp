// Converts between the types of the task and those of the engine, so that neither knows the other.
#include "rl/rollout/rollout_worker.h"

#include <algorithm>
#include <span>

#include "rl/rollout/rollout_codec.h"
#include "rl/tasks/limits.h"
#include "trainer/gradient_sum.h"

namespace terse::rl {

namespace {

// One index names one problem per difficulty. The key includes the difficulty, so that these problems share no random
// numbers.
int64_t draw_key(const Problem& problem) {
  return problem.index * 4096 + std::max<int64_t>(problem.difficulty, 0);
}

// Returns the verified responses to each problem, problem by problem.
std::vector<Rollout> verified_all(Engine& engine, const TokenizedTask& task, std::span<const Problem> problems,
                                  const SamplingParams& sampling, const std::function<void()>& on_generated) {
  std::vector<GenerationRequest> requests;
  for (const Problem& problem : problems) requests.push_back(request_of(problem, sampling));
  const size_t samples = static_cast<size_t>(sampling.n);
  std::vector<PendingRollout> pending(problems.size() * samples);
  engine.generate(requests, [&](size_t problem, int64_t sample, Completion&& completion) {
    pending[problem * samples + static_cast<size_t>(sample)] =
        begin_verification(task, problems[problem], sample, std::move(completion));
  });
  if (on_generated) on_generated();
  std::vector<Rollout> rollouts;
  for (PendingRollout& each : pending) rollouts.push_back(each.get());
  return rollouts;
}

}  // namespace

SamplingParams rollout_sampling(const configs::RunConfig& config, const TokenizedTask& task) {
  SamplingParams sampling;
  sampling.transform = logit_transform(config.engine);
  sampling.max_new_tokens = response_limit(config, task);
  sampling.stop_token_ids = task.tokenizer().eos_ids();
  sampling.n = config.rl.group_size;
  sampling.seed = static_cast<uint64_t>(config.run.seed);
  sampling.stream = RandomStream::kSample;
  return sampling;
}

GenerationRequest request_of(const Problem& problem, const SamplingParams& sampling) {
  return {.prompt = problem.prompt, .sampling = sampling, .key = draw_key(problem)};
}

PendingRollout begin_verification(const TokenizedTask& task, const Problem& problem, int64_t sample,
                                  Completion completion) {
  PendingRollout pending;
  Rollout& rollout = pending.rollout;
  rollout.sample = sample;
  rollout.tokens = std::move(completion.tokens);
  rollout.sampled = std::move(completion.sampled);
  rollout.logprobs = std::move(completion.logprobs);
  rollout.entropies = std::move(completion.entropies);
  rollout.versions = std::move(completion.versions);
  rollout.finish = completion.finish;
  pending.verdict = task.submit(problem, rollout.tokens);
  return pending;
}

Rollout PendingRollout::get() {
  Verdict judged = verdict.get();
  rollout.status = judged.status;
  rollout.correct = judged.correct;
  rollout.score = judged.score;
  rollout.parts = std::move(judged.parts);
  rollout.form = std::move(judged.form);
  return std::move(rollout);
}

std::vector<RolloutGroup> roll_out(Engine& engine, const TokenizedTask& task, std::vector<Problem> problems,
                                   const SamplingParams& sampling, const std::function<void()>& on_generated) {
  const trainer::Sharding& sharding = engine.model().params().sharding();
  const trainer::SequenceRange share = trainer::own_share(sharding, static_cast<int64_t>(problems.size()));
  const std::span<const Problem> mine =
      std::span(problems).subspan(static_cast<size_t>(share.begin), static_cast<size_t>(share.count()));
  std::vector<Rollout> rollouts = verified_all(engine, task, mine, sampling, on_generated);
  if (sharding.distributed()) {
    const std::string bytes = encode_rollouts(rollouts);
    rollouts.clear();
    for (const std::string& part : trainer::all_gather_bytes(*sharding.everyone, "rollouts", bytes)) {
      for (Rollout& rollout : decode_rollouts(part)) rollouts.push_back(std::move(rollout));
    }
  }
  std::vector<RolloutGroup> groups;
  size_t next = 0;
  for (Problem& problem : problems) {
    RolloutGroup group{std::move(problem), {}};
    for (int64_t sample = 0; sample < sampling.n; ++sample) group.rollouts.push_back(std::move(rollouts.at(next++)));
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace terse::rl
