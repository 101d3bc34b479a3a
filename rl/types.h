// The types that the parts of rl/ exchange. engine/, env/ and reward/ share this header and nothing else of rl/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace terse::rl {

// A prompt and what is needed to check an answer. A Task makes it from the run's seed, split, index and difficulty.
struct Problem {
  int64_t index = 0;
  int64_t difficulty = 0;       // the task's own scale; reports and controllers work per difficulty
  std::vector<int32_t> prompt;  // token ids
  std::vector<int32_t> answer;  // token ids of the reference answer
  std::string meta;             // task-private, e.g. the operations; enough to verify and to render traces
};

enum class FinishReason { kStop, kLength };  // sampled its end token; cut at the token limit

// A verifier never turns its own failure into a score.
enum class VerifyStatus { kOk, kTimeout, kError };

struct Rollout {
  int64_t sample = 0;             // index inside its group
  std::vector<int32_t> tokens;    // response, the end token included
  std::vector<float> logprobs;    // of each response token under the policy that sampled it, after the logit transform
  std::vector<float> entropies;   // of each sampled distribution, nats
  std::vector<int64_t> versions;  // of the weights that sampled each response token; ascending
  FinishReason finish = FinishReason::kStop;
  VerifyStatus status = VerifyStatus::kOk;
  bool correct = false;  // raw outcome, used by filters, evaluation and controllers
  std::string form;      // trace form that the response follows, or "other"
  double reward = 0;     // shaped reward, from which the advantage is computed
  double advantage = 0;

  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t oldest_version() const { return versions.empty() ? 0 : versions.front(); }
};

// The rollouts of one prompt; never split.
struct RolloutGroup {
  Problem problem;
  std::vector<Rollout> rollouts;
};

}  // namespace terse::rl
