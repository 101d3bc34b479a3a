// How a thread waits for what it has to ask for again and again: at once at first, since most answers come within
// microseconds; then it lets other threads run; then it sleeps, since ranks share cores with threads that compute.
#pragma once

#include <time.h>

#include <algorithm>
#include <thread>

namespace terse::trainer {

class Backoff {
 public:
  void pause() {
    ++turns_;
    if (turns_ <= kSpins) return;
    if (turns_ <= kSpins + kYields) {
      std::this_thread::yield();
      return;
    }
    const timespec nap{.tv_sec = 0, .tv_nsec = nap_ns_};
    nanosleep(&nap, nullptr);
    nap_ns_ = std::min(2 * nap_ns_, kLongestNap);
  }
  void reset() { *this = Backoff(); }

 private:
  static constexpr int kSpins = 50, kYields = 50;
  static constexpr long kLongestNap = 100'000;  // nanoseconds
  int turns_ = 0;
  long nap_ns_ = 10'000;
};

}  // namespace terse::trainer
