// The gradient of a batch: backward passes over its parts, summed over this rank's and all ranks'.
#pragma once

#include <functional>

#include "trainer/gradient_plan.h"
#include "trainer/model/params.h"

namespace terse::trainer {

// Adds the gradient of a batch of so many sequences to params.grad() (complete after finish_grad()). `backward` is
// called for parts of this rank's share of at most `limit` sequences, in order; it adds the gradient of one part. Every
// rank calls with the same numbers; a rank without a share takes part in the exchange.
//
// In fp32 on the CPU the result has the same bits for any `limit`, ZeRO stage and number of ranks. For every
// doubling of the number of parts a process alone then holds one more copy of the gradient, as does a rank at ZeRO-1;
// at the other stages the owners hold what waits of everyone's, which is about as much for each of them.
void sum_gradients(FlatParams& params, int64_t sequences, int64_t limit,
                   const std::function<void(SequenceRange)>& backward);

// The share of this rank of a batch of so many sequences.
SequenceRange own_share(const Sharding& sharding, int64_t sequences);

// Rows that every rank has for the sequences of its share, [share, K] float64 on the CPU, put together in order of
// sequence: [sequences, K] on every rank.
torch::Tensor gather_shares(const Sharding& sharding, int64_t sequences, const torch::Tensor& mine);

}  // namespace terse::trainer
