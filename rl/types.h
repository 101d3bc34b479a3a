// The types that the parts of rl/ exchange. tasks/, engine/ and rollout/ share this header.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace terse::rl {

struct Item;  // rl/tasks/task.h

// The difficulty of items without a label.
inline constexpr int64_t kNoDifficulty = -1;

// A difficulty of a task. The tasks of a mixture have scales of their own, so metrics and controllers keep their
// difficulties apart.
struct Difficulty {
  Difficulty(int64_t value_, std::string task_ = {}) : task(std::move(task_)), value(value_) {}

  std::string task;  // name in the mixture; empty: there is no mixture
  int64_t value;     // Item::difficulty
  friend auto operator<=>(const Difficulty&, const Difficulty&) = default;
};

// What the names of a task's own metrics begin with: "task/NAME/"; empty where there is no mixture.
inline std::string metric_prefix(const std::string& task) {
  return task.empty() ? "" : "task/" + task + "/";
}

// An item of a task with its prompt in tokens. TokenizedTask makes it from the run's seed, split and index.
struct Problem {
  int64_t index = 0;                   // in training: of an index space (rl/tasks/index_space.h)
  int64_t difficulty = kNoDifficulty;  // the item's label
  std::vector<int32_t> prompt;         // token ids
  std::shared_ptr<const Item> item;
  std::string task = {};  // Item::task

  Difficulty difficulty_in_task() const { return {difficulty, task}; }
};

// Every way in which generation ends: a stop token or a stop string; cut at the token limit.
enum class FinishReason { kStop, kLength };

// Every way in which verification ends. A verifier never turns its own failure into a score.
enum class VerifyStatus { kOk, kTimeout, kError };

// A run of tokens of a rollout, [begin, end), that the policy sampled, or that something else appended.
struct Turn {
  int64_t begin = 0, end = 0;
  bool sampled = true;
};

// Everything after a prompt. Penalties, losses and metrics count sampled tokens only.
struct Rollout {
  int64_t sample = 0;             // index inside its group
  std::vector<int32_t> tokens;    // of all turns, end to end; the end token included
  std::vector<uint8_t> sampled;   // of each token, 1: the policy sampled it; empty: it sampled all of them
  std::vector<float> logprobs;    // of each token under the policy that sampled it, after the logit transform
  std::vector<float> entropies;   // of each sampled distribution, nats
  std::vector<int64_t> versions;  // of the weights that sampled each token; ascending
  FinishReason finish = FinishReason::kStop;
  VerifyStatus status = VerifyStatus::kOk;
  bool correct = false;                 // raw outcome, used by filters, evaluation and controllers
  double score = 0;                     // what a right answer earns before penalties; a wrong one earns nothing
  std::map<std::string, double> parts;  // named parts of the score
  std::string form;                     // Verdict::form
  double reward = 0;                    // shaped reward, from which the advantage is computed
  double advantage = 0;

  bool is_sampled(size_t token) const { return sampled.empty() || sampled[token] != 0; }
  int64_t length() const;  // sampled tokens, the end token included: 1 for an empty response
  std::vector<Turn> turns() const;
  int64_t oldest_version() const { return versions.empty() ? 0 : versions.front(); }
};

// The rollouts of one prompt; never split.
struct RolloutGroup {
  Problem problem;
  std::vector<Rollout> rollouts;
};

}  // namespace terse::rl
