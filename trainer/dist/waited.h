// For how long a thread has waited for other ranks, as one that asks again and again. Time in which this process itself
// did not run is not held against them: it was stopped, alone or with the whole job, and has been woken.
#pragma once

#include <chrono>

namespace terse::trainer {

class Waited {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kGap{1};  // far more than there is between two questions

  double seconds() {
    const Clock::time_point now = Clock::now();
    if (now - last_ < kGap) waited_ += now - last_;
    last_ = now;
    return std::chrono::duration<double>(waited_).count();
  }
  // Time since the last question was not spent waiting.
  void go_on() { last_ = Clock::now(); }
  void restart() {
    last_ = Clock::now();
    waited_ = {};
  }

 private:
  Clock::time_point last_ = Clock::now();
  Clock::duration waited_{};
};

}  // namespace terse::trainer
