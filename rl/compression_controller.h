// Finds the shortest thinking at no loss of accuracy, difficulty by difficulty, without a constant to tune.
//
// For each difficulty the controller stands on a rung of the ladder (rl/ladder.h). The rung's length is the limit: a
// correct response counts only within it. It moves
//   down, to the shortest rung whose own-length rollouts are as accurate as the difficulty has ever been (less a
//   tolerance for
//         sampling noise): the policy has mastered that length before pressure is put on it;
//   up,   when rollouts of the limit's own length stay below the floor: the difficulty is not sacrificed for the mean.
// Meanwhile the next rung is practised by all difficulties together: supervised traces of it are mixed into the updates
// (replay), because on-policy sampling alone finds no shorter form once its entropy is gone. A rung that is not
// mastered within its share of the stage counts as out of reach; then, and towards the end in any case, everyone
// practises the rung stood on, so that a run ends consolidated.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "rl/ladder.h"
#include "rl/types.h"

namespace terse::rl {

class CompressionController {
 public:
  explicit CompressionController(const Task& task);

  // Longest response that counts at this difficulty, tokens; infinite before anything was observed.
  double limit(int64_t difficulty) const;
  // The rung that replay should practise for this difficulty. `progress` in [0, 1] is the share of the stage done:
  // towards the end only the rung already stood on is practised, so that the run ends consolidated.
  int64_t practice_rung(int64_t difficulty, double progress) const;
  int64_t rung(int64_t difficulty) const { return states_.at(difficulty).rung; }

  // Takes account of the rollouts of one step (raw outcomes), then moves.
  void observe(const std::vector<RolloutGroup>& groups, double progress);

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
    double rate() const { return count > 0 ? correct / count : 0; }
  };
  struct State {
    int64_t rung = 0;
    double reference = 0;         // best accuracy seen, smoothed
    Tally overall;                // raw accuracy of all rollouts
    std::vector<Tally> by_rung;   // rollouts by the rung whose length they have
    double settled_rollouts = 0;  // seen since only this rung is practised
  };
  // True once no shorter rung is practised any more: near the end of the stage, or when the frontier is out of reach.
  bool settled(double progress) const;
  void advance_frontier(double progress);
  int64_t rung_of(int64_t difficulty, double length) const;
  void move(int64_t difficulty, State& state, double progress);

  Ladder ladder_;
  std::map<int64_t, State> states_;
  int64_t frontier_ = 1;       // the rung that is practised
  double frontier_since_ = 0;  // progress of the stage when it became so
  int64_t backoffs_ = 0;
};

}  // namespace terse::rl
