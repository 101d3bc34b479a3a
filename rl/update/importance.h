// Importance weights for stale tokens: tokens that were sampled by older weights than those that train on them.
//
// The ratio (current policy) / (sampling policy) splits into two factors (Hilton et al., "Batch size-invariance for
// policy optimization", arXiv 2110.00641; AReaL, arXiv 2505.24298). The factor (policy before the update) / (sampling
// policy) only weights the token and is truncated at a cap (truncated importance sampling, Espeholt et al., arXiv
// 1802.01561). The factor (current policy) / (policy before the update) is the one that the loss clips. A token that is
// not stale keeps its single ratio.
#pragma once

#include "rl/update/policy_loss.h"

namespace terse::rl {

// For the `stale` tokens [N] (bool), moves the first factor from input.old_logprob to input.weight, truncated at `cap`.
// All other tokens get weight 1. input.logprob must come from the update's own forward pass: it is that of the policy
// before the update.
void correct_stale(PolicyLossInput& input, const torch::Tensor& stale, double cap);

}  // namespace terse::rl
