// How a thread polls. It spins at first, because most answers arrive within microseconds. Then it yields to other
// threads, and at last it sleeps, because ranks share cores with threads that compute.
#pragma once

#include <time.h>

#include <algorithm>
#include <thread>

namespace terse::trainer {

class Backoff {
 public:
  // Each sleep lasts a sixteenth of the time slept so far, but at most `longest_us` microseconds.
  explicit Backoff(long longest_us = 1000) : longest_(1000 * longest_us) {}

  void pause() {
    ++turns_;
    if (turns_ <= kSpins) return;
    if (turns_ <= kSpins + kYields) {
      std::this_thread::yield();
      return;
    }
    const long nap = std::min(std::max(slept_ / 16, kShortest), longest_);
    const timespec time{.tv_sec = 0, .tv_nsec = nap};
    nanosleep(&time, nullptr);
    slept_ += nap;
  }
  void reset() {
    turns_ = 0;
    slept_ = 0;
  }

 private:
  static constexpr int kSpins = 50, kYields = 50;
  static constexpr long kShortest = 10'000;  // nanoseconds, like all times here
  long longest_, slept_ = 0;
  int turns_ = 0;
};

}  // namespace terse::trainer
