// A loss is a sum and a count until everything that belongs to one update has been added: only then may it be divided.
#pragma once

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

}  // namespace terse::trainer
