// Length penalties shape rewards by the length of the responses. Each is a pure function of one group. State that
// persists between steps, such as limits per difficulty, belongs to rl/compression/compression_controller.h.
//
// Every penalty keeps these rules, and tests/rl/compression/penalty_conformance_test.cpp checks them on random groups:
//   - a group in which nothing is correct gets equal rewards, so it never trains on length;
//   - a wrong rollout never gets more than a correct one;
//   - of two correct finished rollouts the shorter never gets less than the longer;
//   - a rollout whose verification timed out or failed is left out: it gets no score and enters no statistics.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "rl/types.h"

namespace terse::rl {

// One group of G rollouts. All vectors have G entries.
struct PenaltyInput {
  std::vector<int64_t> lengths;  // tokens of each response, the end token included
  std::vector<bool> correct;     // raw outcome
  std::vector<double> score;     // what each correct rollout earns before the penalty
  std::vector<FinishReason> finish;
  std::vector<VerifyStatus> status;
  double limit = std::numeric_limits<double>::infinity();  // tokens; truncation: rl.penalty.limit; adaptive: the
                                                           // controller's limit for this difficulty. Must be > 0
  double strength = 0;  // group_relative: share of the reward that length can take, in [0, 1]
};

// reward = outcome + length, entry by entry.
struct ShapedRewards {
  std::vector<double> reward;
  std::vector<double> outcome;  // part: the score if correct, else 0
  std::vector<double> length;   // part: what length subtracted
  std::vector<bool> counted;  // false: status was not kOk; the reward 0 then means nothing and must not enter baselines
};

// Throws std::invalid_argument when the vectors differ in size or a parameter that the penalty uses is out of range.
using LengthPenalty = ShapedRewards (*)(const PenaltyInput&);

std::vector<std::string> penalty_names();
// Finds a penalty by its name. Throws std::invalid_argument naming the known penalties.
LengthPenalty length_penalty(std::string_view name);

// Fills a PenaltyInput from a group, except for limit and strength.
PenaltyInput penalty_input(const RolloutGroup& group);
// Stores shaped.reward in the rollouts. Throws std::invalid_argument when the sizes differ.
void store_rewards(const ShapedRewards& shaped, RolloutGroup& group);

}  // namespace terse::rl
