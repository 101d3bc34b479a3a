// Serialises rollouts, to send them from the rank that generated them to the others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rl/types.h"

namespace terse::rl {

// Encodes everything but reward and advantage, which are computed after the exchange. Problems are not sent, because
// every rank can construct them. All ranks run the same program on machines of one byte order.
std::string encode_rollouts(const std::vector<Rollout>& rollouts);
// Throws std::logic_error when the bytes end within a rollout.
std::vector<Rollout> decode_rollouts(std::string_view bytes);

}  // namespace terse::rl
