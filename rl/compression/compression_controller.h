// Finds for each difficulty the shortest thinking that costs no accuracy, without a constant to tune.
//
// For each difficulty the controller stands at a level of the curriculum (rl/compression/curriculum.h). The level's
// length is the limit: a correct response counts only within it.
//   Down: all difficulties move together, because they share one policy and two forms at once are harder to learn than
//         one. They move when, at each of them, the policy's own rollouts of the shorter length are as accurate as the
//         difficulty has ever been, within a tolerance for sampling noise. They also move when the student
//         (rl/compression/student.h) passes the promotion gate. So the policy masters a length before the limit
//         enforces it.
//   Up:   one difficulty moves alone, when its rollouts of the limit's own length fall below an accuracy floor. So no
//         difficulty is sacrificed for the mean. Only the limit loosens. Demonstrations keep the form that the policy
//         has mastered, because teaching one difficulty a form that the policy has left harms the others.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "rl/compression/curriculum.h"
#include "rl/types.h"

namespace terse::rl {

class CompressionController {
 public:
  // Share of a stage after which the student ends, so that the policy is stable at the end of the run.
  static constexpr double kConsolidate = 0.8;

  explicit CompressionController(const TokenizedTask& task);

  // Longest response that counts at this difficulty, tokens; infinite before the first observation.
  double limit(const Difficulty& difficulty) const;
  int64_t level(const Difficulty& difficulty) const { return states_.at(difficulty).level; }
  // The last (shortest) level that this difficulty has reached: the form to demonstrate.
  int64_t mastered_level(const Difficulty& difficulty) const { return states_.at(difficulty).mastered; }

  // Counts the raw outcomes of one step's rollouts, then moves the limits.
  void observe(const std::vector<RolloutGroup>& groups);

  // The next level for the student: one after the most verbose level that a difficulty can still leave. Empty until
  // every difficulty has enough rollouts, and at the end of the curriculum.
  std::optional<int64_t> next_level() const;
  // Whether these accuracies (by difficulty) are no loss at any difficulty: each reaches the best so far, within a
  // tolerance.
  bool passes(const std::map<Difficulty, double>& accuracy) const;
  // Records that the policy has mastered `level`: moves every difficulty that stands before it to it.
  void promote(int64_t level);

  // Mean over difficulties of 1 - limit / (length of the most verbose level): 0 no pressure, towards 1 strong.
  double pressure() const;
  // Those that have limits, ascending.
  std::vector<Difficulty> difficulties() const;
  // Number of moves up so far.
  int64_t backoffs() const { return backoffs_; }

  const Curriculum& curriculum() const { return curriculum_; }
  nlohmann::json state() const;
  void restore(const nlohmann::json& state);

 private:
  // Exponentially weighted counts.
  struct Tally {
    double count = 0, correct = 0;
    double rate() const { return correct / count; }  // requires count > 0
    void add(double right) { count += 1, correct += right; }
    void fade(double keep) { count *= keep, correct *= keep; }
  };
  struct State {
    int64_t level = 0;
    int64_t mastered = 0;         // the last level so far
    double reference = 0;         // best smoothed accuracy so far
    Tally overall;                // raw accuracy of all rollouts
    std::vector<Tally> by_level;  // accuracy of rollouts, by the level whose length they have
    Tally here;  // problems since the move to this level: each adds the correct share of its rollouts of this length
  };
  double limit_at(const Difficulty& difficulty, int64_t level) const {
    return curriculum_.lengths(difficulty)[static_cast<size_t>(level)];
  }
  int64_t level_of(const Difficulty& difficulty, int64_t stand, double length) const;
  // Whether every difficulty that stands before `level` is accurate enough on its rollouts of that level's length.
  bool mastered(int64_t level) const;
  void back_off(State& state);
  static void move(State& state, int64_t level);

  Curriculum curriculum_;
  std::map<Difficulty, State> states_;
  int64_t backoffs_ = 0;
};

}  // namespace terse::rl
