// Finds for each difficulty the shortest thinking that costs no accuracy, without a constant to tune.
//
// For each difficulty the controller stands on a rung of the ladder (rl/compression/ladder.h). The rung's length is the
// limit: a correct response counts only within it.
//   Down: all difficulties move together, because they share one policy and two forms at once are harder to learn than
//         one. They move when, at each of them, the policy's own rollouts of the shorter length are as accurate as the
//         difficulty has ever been, within a tolerance for sampling noise. They also move when the apprentice
//         (rl/compression/apprentice.h) passes an exam. So the policy masters a length before the limit enforces it.
//   Up:   one difficulty moves alone, when its rollouts of the limit's own length fall below an accuracy floor. So no
//         difficulty is sacrificed for the mean. Only the limit loosens. Demonstrations keep the form that the policy
//         has mastered, because teaching one difficulty a form that the policy has left harms the others.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "rl/compression/ladder.h"
#include "rl/types.h"

namespace terse::rl {

class CompressionController {
 public:
  // Share of a stage after which practice ends, so that the policy is stable at the end of the run.
  static constexpr double kConsolidate = 0.8;

  explicit CompressionController(const TokenizedTask& task);

  // Longest response that counts at this difficulty, tokens; infinite before the first observation.
  double limit(int64_t difficulty) const;
  int64_t rung(int64_t difficulty) const { return states_.at(difficulty).rung; }
  // The lowest (shortest) rung that this difficulty has stood on: the form to demonstrate.
  int64_t mastered_rung(int64_t difficulty) const { return states_.at(difficulty).mastered; }

  // Counts the raw outcomes of one step's rollouts, then moves the limits.
  void observe(const std::vector<RolloutGroup>& groups);

  // The next rung to practise: one below the most verbose rung that a difficulty can still leave. Empty until every
  // difficulty has enough rollouts, and at the bottom of the ladder.
  std::optional<int64_t> next_rung() const;
  // Whether these accuracies (by difficulty) are no loss at any difficulty: each reaches the best so far, within a
  // tolerance.
  bool passes(const std::map<int64_t, double>& accuracy) const;
  // Records that the policy has mastered `rung`: moves every difficulty that stands above it down to it.
  void promote(int64_t rung);

  // Mean over difficulties of 1 - limit / (length of the most verbose rung): 0 no pressure, towards 1 strong.
  double pressure() const;
  // Number of moves up so far.
  int64_t backoffs() const { return backoffs_; }

  const Ladder& ladder() const { return ladder_; }
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
    int64_t rung = 0;
    int64_t mastered = 0;        // the lowest rung so far
    double reference = 0;        // best smoothed accuracy so far
    Tally overall;               // raw accuracy of all rollouts
    std::vector<Tally> by_rung;  // accuracy of rollouts, by the rung whose length they have
    Tally here;  // problems since the move to this rung: each adds the correct share of its rollouts of this length
  };
  double limit_at(int64_t difficulty, int64_t rung) const {
    return ladder_.lengths(difficulty)[static_cast<size_t>(rung)];
  }
  int64_t rung_of(int64_t difficulty, int64_t stand, double length) const;
  // Whether every difficulty that stands above `rung` is accurate enough on its rollouts of that rung's length.
  bool mastered(int64_t rung) const;
  void back_off(State& state);
  static void move(State& state, int64_t rung);

  Ladder ladder_;
  std::map<int64_t, State> states_;
  int64_t backoffs_ = 0;
};

}  // namespace terse::rl
