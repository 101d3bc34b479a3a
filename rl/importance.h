// Tokens that older weights sampled than those that train on them.
//
// The ratio of the present policy to the sampler's splits in two (Hilton et al., "Batch size-invariance for policy
// optimization", arXiv 2110.00641; AReaL, arXiv 2505.24298): that of the policy before the update to the sampler's,
// which only weights the token and is cut off at a cap (truncated importance sampling, Espeholt et al., arXiv
// 1802.01561), and that of the present policy to the policy before the update, which the loss clips. A token that is
// not stale keeps its one ratio.
#pragma once

#include "rl/policy_loss.h"

namespace terse::rl {

// Moves the first part of the ratio of `stale` tokens [N] (bool) from input.old_logprob to input.weight. input.logprob
// is that of the policy before the update: the update's own forward pass.
void correct_stale(PolicyLossInput& input, const torch::Tensor& stale, double cap);

}  // namespace terse::rl
