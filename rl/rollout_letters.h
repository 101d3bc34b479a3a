// What the first rank that learns and the ranks that only generate write to each other, by trainer::Mailbox.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rl/types.h"

namespace terse::rl {

// To a rank that generates.
struct Instruction {
  enum class Kind : char { kWeights, kGenerate, kCancel, kEnd };
  Kind kind = Kind::kEnd;
  int64_t version = 0;    // kWeights: that are about to be sent; kGenerate: the oldest weights that will do
  int64_t ticket = 0;     // kGenerate, kCancel: of one attempt at a group
  int64_t problem = 0;    // kGenerate: index among the training problems
  std::string text = {};  // kEnd: what the run was stopped by; empty: it is complete
};

// From a rank that generates: it is at work, or (with rollouts) a group is finished.
struct Report {
  int64_t ticket = -1;  // -1: a sign of life
  std::vector<Rollout> rollouts = {};
};

std::string encode(const Instruction& instruction);
std::string encode(const Report& report);
// Throw std::logic_error when bytes are missing.
Instruction decode_instruction(std::string_view bytes);
Report decode_report(std::string_view bytes);

}  // namespace terse::rl
