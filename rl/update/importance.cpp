// Works under NoGradGuard: weights and old log-probs are constants, and only input.logprob carries the gradient.
#include "rl/update/importance.h"

namespace terse::rl {

void correct_stale(PolicyLossInput& input, const torch::Tensor& stale, double cap) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor before = input.logprob.detach();
  const torch::Tensor weight = (before - input.old_logprob).exp().clamp_max(cap);
  input.weight = torch::where(stale, weight, 1.0);
  input.old_logprob = torch::where(stale, before, input.old_logprob);
}

}  // namespace terse::rl
