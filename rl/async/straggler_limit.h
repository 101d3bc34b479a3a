// The time after which another rank generates a group of rollouts, too.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

namespace terse::rl {

class StragglerLimit {
 public:
  // `fixed`: the limit in seconds (rl.group_deadline); 0: derived from the latest groups.
  explicit StragglerLimit(double fixed) : fixed_(fixed) {}

  // Records the time that a finished group took.
  void add(double seconds) {
    recent_.push_back(seconds);
    if (recent_.size() > kRecent) recent_.pop_front();
  }
  // The limit in seconds; empty until enough groups have finished.
  std::optional<double> seconds() const {
    if (fixed_ > 0) return fixed_;
    if (recent_.size() < kEnough) return std::nullopt;
    std::vector<double> sorted(recent_.begin(), recent_.end());
    std::sort(sorted.begin(), sorted.end());
    return std::max(kSlow * sorted[sorted.size() / 2], kShortest);
  }

 private:
  static constexpr size_t kRecent = 64;   // latest groups in the median
  static constexpr size_t kEnough = 8;    // groups that must finish before there is a limit
  static constexpr double kSlow = 5;      // times the median
  static constexpr double kShortest = 1;  // seconds

  double fixed_;
  std::deque<double> recent_;
};

}  // namespace terse::rl
