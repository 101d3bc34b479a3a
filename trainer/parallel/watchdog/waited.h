// Measures how long a polling thread has waited for other ranks. Time in which this process itself was stopped, alone
// or with the whole job, does not count, because the other ranks did not cause it.
#pragma once

#include <chrono>

namespace terse::trainer {

class Waited {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kGap{1};  // a longer gap between two polls means that this process was stopped

  // The time waited so far. Call it at every poll.
  double seconds() {
    const Clock::time_point now = Clock::now();
    if (now - last_ < kGap) waited_ += now - last_;
    last_ = now;
    return std::chrono::duration<double>(waited_).count();
  }
  // Resumes the wait: the time since the last poll does not count.
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
