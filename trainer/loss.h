// A loss stays a sum and a count until all parts of one update have been added. Only then may the sum be divided by the
// count.
#pragma once

#include <torch/types.h>

#include <vector>

#include "trainer/mean.h"
#include "trainer/speed/flops.h"

namespace terse::trainer {

struct LossSum {
  double sum = 0;       // of per-token losses times their weights
  double count = 0;     // of weights
  TokenWork work = {};  // of the batch; its tokens have a weight or have none

  LossSum& operator+=(const LossSum& other) {
    sum += other.sum;
    count += other.count;
    work += other.work;
    return *this;
  }
  std::optional<double> mean() const { return mean_of(sum, count); }  // nothing when no token carries a weight
};

// Returns the sum of each sequence's values. Sums are in double and in order, so they do not depend on the other
// sequences of the batch. values: [M] on any device. sequences: int32 [B + 1], the index of the first value of each
// sequence, then M.
std::vector<double> sequence_sums(const torch::Tensor& values, const torch::Tensor& sequences);

// Computes the gradients of a loss: the backward pass.
void backward(const torch::Tensor& loss);

}  // namespace terse::trainer
