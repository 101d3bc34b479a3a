// Uses a steady clock.
#include "launch/bench/timing.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/clock.h"

namespace terse::launch::bench {

double median_seconds(double seconds, int least, const std::function<void()>& work) {
  work();
  std::vector<double> times;
  const auto start = std::chrono::steady_clock::now();
  while (std::ssize(times) < least || seconds_since(start) < seconds) {
    const auto before = std::chrono::steady_clock::now();
    work();
    times.push_back(seconds_since(before));
  }
  std::nth_element(times.begin(), times.begin() + std::ssize(times) / 2, times.end());
  return times[times.size() / 2];
}

}  // namespace terse::launch::bench
