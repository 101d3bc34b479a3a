// The only place where engine, task and rollout types meet.
#include "rl/rollout_worker.h"

namespace terse::rl {

namespace {

// The same index may stand for one problem per difficulty; random numbers must not be shared between them.
int64_t draw_key(const Problem& problem) {
  return problem.index * 4096 + problem.difficulty;
}

}  // namespace

std::vector<RolloutGroup> roll_out(Engine& engine, const Task& task, std::vector<Problem> problems, int64_t group_size,
                                   const SamplingOptions& sampling) {
  std::vector<GenerationRequest> requests;
  for (const Problem& problem : problems) {
    for (int64_t sample = 0; sample < group_size; ++sample)
      requests.push_back({problem.prompt, draw_key(problem), sample});
  }
  std::vector<Completion> completions = engine.generate(requests, sampling);
  std::vector<RolloutGroup> groups;
  size_t next = 0;
  for (Problem& problem : problems) {
    RolloutGroup group{std::move(problem), {}};
    for (int64_t sample = 0; sample < group_size; ++sample) {
      Completion& completion = completions[next++];
      Rollout rollout;
      rollout.sample = sample;
      rollout.tokens = std::move(completion.tokens);
      rollout.logprobs = std::move(completion.logprobs);
      rollout.entropies = std::move(completion.entropies);
      rollout.weight_version = completion.weight_version;
      rollout.finish = completion.finish;
      const Verdict verdict = task.verify(group.problem, rollout.tokens);
      rollout.status = verdict.status;
      rollout.correct = verdict.correct;
      rollout.form = verdict.form;
      group.rollouts.push_back(std::move(rollout));
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace terse::rl
