// Policy losses: pure functions of tensors, chosen by name. r_t = exp(logprob - old_logprob) per token, A the
// advantage, m the mask.
//
//   name        term of a token or sequence                              divided by             source
//   grpo        -min(r A, clip(r, 1-low, 1+high) A), mean per sequence   sequences              arXiv 2402.03300
//   dapo        the same term, summed                                    tokens                 arXiv 2503.14476
//   dr_grpo     the same term, summed                                    sequences * max_tokens arXiv 2503.20783
//   gspo        the same with r_t = exp(mean of the sequence's log r)    sequences              arXiv 2507.18071
//   cispo       -stop_gradient(clip(r, 1-low, 1+high)) A logprob         tokens                 arXiv 2506.13585
//   reinforce   -A logprob, summed over the sequence; on-policy only     sequences
//
// A loss is a sum and a count until the update is complete. The sums and counts of micro-batches add up to those of the
// whole, so neither loss nor gradient depends on the split: compute the global count first with policy_loss_count(),
// then back-propagate sum / count of each micro-batch. A sequence must not be split across micro-batches.
#pragma once

#include <torch/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "trainer/mean.h"

namespace terse::rl {

// N packed tokens of S sequences, in any order and of any lengths, on one device. Entries where mask is 0 may hold
// anything, even NaN: they change neither loss, gradient nor statistics.
struct PolicyLossInput {
  torch::Tensor logprob;      // [N] of the sampled tokens under the current policy; carries the gradient
  torch::Tensor old_logprob;  // [N] the same under the policy that sampled them (after the same logit transform)
  torch::Tensor advantage;    // [N] of each token's rollout
  torch::Tensor mask;      // [N] 1: a sampled token that trains; 0: prompt, padding, tool output or a left-out rollout
  torch::Tensor sequence;  // [N] int64 in 0..S-1: which rollout of this micro-batch the token belongs to
  int64_t sequences = 0;   // S
  torch::Tensor weight;    // [N] optional, detached: multiplies the token's term (importance weights), never the counts
};

struct PolicyLossOptions {
  double clip_low = 0.2;  // ratio clipped to [1 - clip_low, 1 + clip_high]; gspo wants about 3e-4 and 4e-4
  double clip_high = 0.28;
  double max_tokens = 0;  // dr_grpo: its constant normaliser, tokens (the response limit)
};

// The numbers from which policy_loss_count() computes the denominator. Those of micro-batches and ranks add up.
struct PolicyTotals {
  int64_t tokens = 0;     // with mask 1
  int64_t sequences = 0;  // with at least one such token

  PolicyTotals& operator+=(const PolicyTotals& other) {
    tokens += other.tokens;
    sequences += other.sequences;
    return *this;
  }
};

// Running statistics of an update, accumulated on the host; the forms that do not clip report no clipped tokens.
struct PolicyStats {
  double loss = 0;  // the numerator
  double tokens = 0;
  double clipped_low = 0;    // tokens whose gradient the lower bound removed or capped
  double clipped_high = 0;   // the same for the upper bound
  double kl_sum = 0;         // of r - 1 - log r per token: estimates KL(old policy || current policy), never negative
  double max_deviation = 0;  // largest |r - 1|; exactly 0 on the first update after sampling

  // Adds the rows of a PolicyLossResult::stats in order; copies them to the host, so call it after backward().
  void add(const torch::Tensor& stats);
  void add(const PolicyStats& other);
  // Empty when no token was trained.
  std::optional<double> clip_fraction() const { return trainer::mean_of(clipped_low + clipped_high, tokens); }
  std::optional<double> approx_kl() const { return trainer::mean_of(kl_sum, tokens); }
};

struct PolicyLossResult {
  torch::Tensor sum;    // scalar with gradient: this micro-batch's share of the numerator; 0 when everything is masked
  torch::Tensor stats;  // [S, 6] float64, detached: the fields of PolicyStats in order, for each sequence
};

std::vector<std::string> policy_loss_names();

// Returns the denominator of this loss for the `totals` of a whole update. It is at least 1, so that the gradient of an
// update without tokens is 0 and not NaN. Throws std::invalid_argument on an unknown name or when dr_grpo lacks
// max_tokens.
double policy_loss_count(std::string_view name, const PolicyTotals& totals, const PolicyLossOptions& options);

// Computes in fp32, or in fp64 when logprob is fp64. Throws std::invalid_argument naming the tensor when a shape or
// option does not fit.
PolicyLossResult policy_loss(std::string_view name, const PolicyLossInput& input, const PolicyLossOptions& options);

}  // namespace terse::rl
