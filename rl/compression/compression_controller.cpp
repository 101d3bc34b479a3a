// Implements the moves along the curriculum. All evidence lies in tallies that fade exponentially.
#include "rl/compression/compression_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/errors.h"

namespace terse::rl {

namespace {

constexpr double kMemory = 300;   // rollouts of a difficulty that a tally remembers
constexpr double kEvidence = 30;  // rollouts that a tally must hold before it decides anything
// A move up counts problems instead of rollouts. Once the policy's entropy has collapsed, all rollouts of a problem are
// right or wrong together. So one problem is one observation, however many rollouts it has. With 99 % of the problems
// right, a tally of 30 problems falls below the floor by chance in 2 of 10,000 cases. A tally of 30 rollouts of only
// three problems does so in 3 of 100.
constexpr double kProblemMemory = 60;
constexpr double kProblemEvidence = 30;
constexpr double kTolerance = 0.02;      // loss of accuracy that a tally tolerates as sampling noise
constexpr double kGateTolerance = 0.01;  // the same at the gate; smaller, because the gate can be repeated
constexpr double kFloor = 0.10;          // a difficulty moves up when it falls further below its reference

}  // namespace

CompressionController::CompressionController(const TokenizedTask& task) : curriculum_(task) {
  for (const Difficulty& d : task.difficulties()) {
    states_[d].by_level.resize(static_cast<size_t>(curriculum_.count()));
  }
}

double CompressionController::limit(const Difficulty& difficulty) const {
  const State& state = states_.at(difficulty);
  if (state.overall.count == 0) return std::numeric_limits<double>::infinity();
  return limit_at(difficulty, state.level);
}

std::optional<int64_t> CompressionController::next_level() const {
  std::optional<int64_t> next;
  for (const auto& [difficulty, state] : states_) {
    if (state.overall.count < kEvidence) return std::nullopt;
    if (state.level < curriculum_.last(difficulty)) next = std::min(next.value_or(state.level + 1), state.level + 1);
  }
  return next;
}

bool CompressionController::passes(const std::map<Difficulty, double>& accuracy) const {
  return std::all_of(states_.begin(), states_.end(), [&](const auto& entry) {
    return accuracy.at(entry.first) >= entry.second.reference - kGateTolerance;
  });
}

void CompressionController::promote(int64_t level) {
  for (auto& [difficulty, state] : states_) {
    const int64_t target = std::min(level, curriculum_.last(difficulty));
    if (target <= state.level) continue;
    move(state, target);
    state.by_level[static_cast<size_t>(target)] = {};  // outcomes before the move are no evidence any more
  }
}

int64_t CompressionController::level_of(const Difficulty& difficulty, int64_t stand, double length) const {
  // Finds the shortest level that is at least as long as the response, or the first level if none is. Lengths never
  // rise along the curriculum. Among equally long levels, the current one (`stand`) wins, else the first.
  const std::vector<double>& lengths = curriculum_.lengths(difficulty);
  int64_t level = 0;
  while (level < curriculum_.last(difficulty) && lengths[static_cast<size_t>(level) + 1] >= length) ++level;
  const double own = lengths[static_cast<size_t>(level)];
  if (lengths[static_cast<size_t>(stand)] == own) return stand;
  return std::find(lengths.begin(), lengths.end(), own) - lengths.begin();
}

void CompressionController::observe(const std::vector<RolloutGroup>& groups) {
  std::map<Difficulty, int64_t> seen, problems;
  for (const RolloutGroup& group : groups) {
    seen[group.problem.difficulty_in_task()] += static_cast<int64_t>(group.rollouts.size());
    problems[group.problem.difficulty_in_task()] += 1;
  }
  for (auto& [difficulty, state] : states_) {
    const auto keep = [](int64_t added, double memory) {
      return std::max(0.0, 1 - static_cast<double>(added) / memory);
    };
    state.overall.fade(keep(seen[difficulty], kMemory));
    for (Tally& t : state.by_level) t.fade(keep(seen[difficulty], kMemory));
    state.here.fade(keep(problems[difficulty], kProblemMemory));
  }
  for (const RolloutGroup& group : groups) {
    State& state = states_.at(group.problem.difficulty_in_task());
    Tally here;
    for (const Rollout& rollout : group.rollouts) {
      if (rollout.status != VerifyStatus::kOk) continue;
      const double right = rollout.correct ? 1 : 0;
      const int64_t level =
          level_of(group.problem.difficulty_in_task(), state.level, static_cast<double>(rollout.length()));
      state.overall.add(right);
      state.by_level[static_cast<size_t>(level)].add(right);
      if (level == state.level) here.add(right);
    }
    if (here.count > 0) state.here.add(here.rate());
  }
  for (auto& [difficulty, state] : states_) {
    if (state.overall.count >= kEvidence) state.reference = std::max(state.reference, state.overall.rate());
    back_off(state);
  }
  // Moves down to the shortest level that all difficulties have mastered.
  int64_t level = curriculum_.count() - 1;
  while (level > 0 && !mastered(level)) --level;
  promote(level);
}

bool CompressionController::mastered(int64_t level) const {
  return std::all_of(states_.begin(), states_.end(), [&](const auto& entry) {
    const auto& [difficulty, state] = entry;
    const int64_t target = std::min(level, curriculum_.last(difficulty));
    const Tally& tally = state.by_level[static_cast<size_t>(target)];
    return limit_at(difficulty, target) >= limit_at(difficulty, state.level) ||
           (tally.count >= kEvidence && tally.rate() >= state.reference - kTolerance);
  });
}

void CompressionController::back_off(State& state) {
  if (state.level == 0 || state.here.count < kProblemEvidence) return;
  if (state.here.rate() >= state.reference - kFloor) return;
  move(state, state.level - 1);
  ++backoffs_;
}

void CompressionController::move(State& state, int64_t level) {
  state.level = level;
  state.mastered = std::max(state.mastered, level);
  state.here = {};
}

std::vector<Difficulty> CompressionController::difficulties() const {
  std::vector<Difficulty> all;
  for (const auto& [difficulty, state] : states_) all.push_back(difficulty);
  return all;
}

double CompressionController::pressure() const {
  double total = 0;
  for (const auto& [difficulty, state] : states_) {
    const std::vector<double>& lengths = curriculum_.lengths(difficulty);
    total += 1 - lengths[static_cast<size_t>(state.level)] / lengths[0];
  }
  return total / static_cast<double>(states_.size());
}

// The keys, with "rung" for a level, are the names in checkpoints.
nlohmann::json CompressionController::state() const {
  nlohmann::json out = {{"backoffs", backoffs_}, {"difficulties", nlohmann::json::array()}};
  const auto tally = [](const Tally& t) { return nlohmann::json{t.count, t.correct}; };
  for (const auto& [difficulty, s] : states_) {
    nlohmann::json levels = nlohmann::json::array();
    for (const Tally& t : s.by_level) levels.push_back(tally(t));
    out["difficulties"].push_back({{"difficulty", difficulty.value},
                                   {"rung", s.level},
                                   {"mastered", s.mastered},
                                   {"here", tally(s.here)},
                                   {"reference", s.reference},
                                   {"overall", tally(s.overall)},
                                   {"by_rung", levels}});
    if (!difficulty.task.empty()) out["difficulties"].back()["task"] = difficulty.task;
  }
  return out;
}

void CompressionController::restore(const nlohmann::json& state) {
  const auto tally = [](const nlohmann::json& j) { return Tally{j.at(0), j.at(1)}; };
  backoffs_ = state.at("backoffs");
  for (const nlohmann::json& j : state.at("difficulties")) {
    const Difficulty difficulty(j.at("difficulty"), j.value("task", ""));
    if (states_.count(difficulty) == 0) {
      throw ConfigError(
          fmt::format("the checkpoint has length limits for difficulty {}{}, which the task of this run does not have",
                      difficulty.value, difficulty.task.empty() ? "" : " of task " + difficulty.task));
    }
    State& s = states_.at(difficulty);
    s.level = j.at("rung");
    s.mastered = j.value("mastered", s.level);  // older checkpoints have neither `mastered` nor `here`
    if (j.contains("here")) s.here = tally(j.at("here"));
    s.reference = j.at("reference");
    s.overall = tally(j.at("overall"));
    for (size_t r = 0; r < s.by_level.size(); ++r) s.by_level[r] = tally(j.at("by_rung").at(r));
  }
}

}  // namespace terse::rl
