// Finds the shortest thinking at no loss of accuracy, difficulty by difficulty, without a constant to tune.
//
// For each difficulty the controller stands on a rung of the ladder (rl/ladder.h). The rung's length is the limit: a
// correct response counts only within it. It moves
//   down, all difficulties together (they share one policy, and two ways of thinking at once are harder to learn than
//         one), when at each of them the policy's own rollouts of the shorter length are as accurate as the difficulty
//         has ever been, less a tolerance for sampling noise, or when the apprentice (rl/apprentice.h) has passed an
//         exam: a length is mastered before pressure is put on it;
//   up,   one difficulty alone, when rollouts of the limit's own length fall below the floor: no difficulty is
//         sacrificed for the mean. Only the limit loosens: what is replayed keeps the form that the policy has
//         mastered, because to teach one difficulty a form that the policy has left spoils the others.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "rl/ladder.h"
#include "rl/types.h"

namespace terse::rl {

class CompressionController {
 public:
  // Share of a stage after which no shorter rung is practised, so that a run ends with a policy at rest.
  static constexpr double kConsolidate = 0.8;

  explicit CompressionController(const Task& task);

  // Longest response that counts at this difficulty, tokens; infinite before anything was observed.
  double limit(int64_t difficulty) const;
  int64_t rung(int64_t difficulty) const { return states_.at(difficulty).rung; }
  // The lowest rung that this difficulty has stood on: the form to replay.
  int64_t mastered_rung(int64_t difficulty) const { return states_.at(difficulty).mastered; }

  // Takes account of the rollouts of one step (raw outcomes), then moves.
  void observe(const std::vector<RolloutGroup>& groups);

  // The next rung down. Nothing before every difficulty was observed, or at the bottom of the ladder.
  std::optional<int64_t> next_rung() const;
  // Whether these accuracies by difficulty are no loss at any of them.
  bool passes(const std::map<int64_t, double>& accuracy) const;
  // The policy has mastered `rung`: every difficulty stands at least there.
  void promote(int64_t rung);

  // Mean over difficulties of 1 - limit / (length of the most verbose rung): 0 no pressure, towards 1 strong.
  double pressure() const;
  // Moves up so far: how often a floor was hit.
  int64_t backoffs() const { return backoffs_; }

  const Ladder& ladder() const { return ladder_; }
  nlohmann::json state() const;
  void restore(const nlohmann::json& state);

 private:
  // Exponentially weighted counts.
  struct Tally {
    double count = 0, correct = 0;
    double rate() const { return correct / count; }  // to be asked once there is evidence: a count above 0
    void add(double right) { count += 1, correct += right; }
    void fade(double keep) { count *= keep, correct *= keep; }
  };
  struct State {
    int64_t rung = 0;
    int64_t mastered = 0;        // the lowest rung so far
    double reference = 0;        // best accuracy seen, smoothed
    Tally overall;               // raw accuracy of all rollouts
    std::vector<Tally> by_rung;  // rollouts by the rung whose length they have
    Tally here;                  // problems since it came to its rung: the share right of the rollouts of its length
  };
  double limit_at(int64_t difficulty, int64_t rung) const {
    return ladder_.lengths(difficulty)[static_cast<size_t>(rung)];
  }
  int64_t rung_of(int64_t difficulty, int64_t stand, double length) const;
  // Whether own-length rollouts of every difficulty that is not there yet are as accurate as they must be.
  bool mastered(int64_t rung) const;
  void back_off(State& state);
  static void move(State& state, int64_t rung);

  Ladder ladder_;
  std::map<int64_t, State> states_;
  int64_t backoffs_ = 0;
};

}  // namespace terse::rl
