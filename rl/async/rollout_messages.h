// The messages between the first rank that learns and the ranks that only generate, sent by trainer::MessageChannel.
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
  int64_t version = 0;    // kWeights: of the weights that follow; kGenerate: of the oldest weights that may sample
  int64_t ticket = 0;     // kGenerate, kCancel: identifies one attempt at a group
  int64_t problem = 0;    // kGenerate: index among the training problems
  std::string text = {};  // kEnd: why the run stopped; empty: it is complete
};

// From a rank that generates: a finished group, or a heartbeat.
struct Report {
  int64_t ticket = -1;  // -1: a heartbeat
  std::vector<Rollout> rollouts = {};
};

std::string encode(const Instruction& instruction);
std::string encode(const Report& report);
// Throw std::logic_error when bytes are missing.
Instruction decode_instruction(std::string_view bytes);
Report decode_report(std::string_view bytes);

}  // namespace terse::rl
