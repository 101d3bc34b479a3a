// Computes the gradient of a batch: runs backward passes over its parts and sums them over all ranks.
#pragma once

#include <functional>

#include "trainer/gradient_plan.h"
#include "trainer/model/params.h"

namespace terse::trainer {

// Adds the gradient of a batch to params.grad(), which is complete after finish_grad(). Calls `backward` in order for
// parts of this rank's share, each of which fits into one pass. `backward` adds the gradient of one part. Collective:
// every rank passes the same batch, and a rank without a share takes part in the exchange.
//
// On the CPU the result has the same bits for any limit of passes, ZeRO stage and number of ranks. Each doubling of the
// number of parts costs one more copy of the gradient. This holds for a single process and for a rank at ZeRO-1. At the
// other stages the owners hold the waiting sums of all ranks, which costs each owner about as much.
void sum_gradients(FlatParams& params, const MicroBatching& batch, const std::function<void(SequenceRange)>& backward);

// Returns this rank's share of a batch of `sequences` sequences.
SequenceRange own_share(const Sharding& sharding, int64_t sequences);

// Gathers the rows that each rank has for the sequences of its share. `mine` is [rows of the share, K] float64 on the
// CPU, and rows_of_sequence has the number of rows of every sequence of the batch. Returns all rows in the order of the
// sequences, on every rank.
torch::Tensor gather_shares(const Sharding& sharding, const std::vector<int64_t>& rows_of_sequence,
                            const torch::Tensor& mine);

}  // namespace terse::trainer
