// A loss is a sum and a count until everything that belongs to one update has been added: only then may it be divided.
#pragma once

#include <torch/types.h>

#include <vector>

namespace terse::trainer {

struct LossSum {
  double sum = 0;    // of per-token losses times their weights
  double count = 0;  // of weights

  LossSum& operator+=(const LossSum& other) {
    sum += other.sum;
    count += other.count;
    return *this;
  }
  double mean() const { return count > 0 ? sum / count : 0; }
};

// The sum of each sequence's values, in double and in order, so that it does not depend on who shares the batch. values
// [M] on any device, segments int32 [S + 1]: the first value of each sequence, then M.
std::vector<double> sequence_sums(const torch::Tensor& values, const torch::Tensor& segments);

}  // namespace terse::trainer
