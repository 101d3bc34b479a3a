// Rollouts as bytes, for the way from the rank that generated them to the others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rl/types.h"

namespace terse::rl {

// Everything but the problem, which every rank can make itself, and what is computed after the exchange (reward and
// advantage). Ranks run the same program on machines of one byte order.
std::string encode_rollouts(const std::vector<Rollout>& rollouts);
// Throws std::logic_error when the bytes are not those of encode_rollouts().
std::vector<Rollout> decode_rollouts(std::string_view bytes);

}  // namespace terse::rl
