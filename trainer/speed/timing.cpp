// Uses a steady clock.
#include "trainer/speed/timing.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/clock.h"

namespace terse::trainer {

Repeated time_repeated(double seconds, int least, const std::function<void()>& work) {
  work();
  std::vector<double> times;
  const auto start = std::chrono::steady_clock::now();
  while (std::ssize(times) < least || seconds_since(start) < seconds) {
    const auto before = std::chrono::steady_clock::now();
    work();
    times.push_back(seconds_since(before));
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front()};
}

}  // namespace terse::trainer
