// How long a group of rollouts may be under way before another rank generates it, too.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

namespace terse::rl {

class StragglerLimit {
 public:
  // `fixed`: the limit in seconds (rl.group_deadline); 0: what the last groups say.
  explicit StragglerLimit(double fixed) : fixed_(fixed) {}

  // A group was done after this time.
  void add(double seconds) {
    recent_.push_back(seconds);
    if (recent_.size() > kRecent) recent_.pop_front();
  }
  // Seconds; nothing before it is known what is usual.
  std::optional<double> seconds() const {
    if (fixed_ > 0) return fixed_;
    if (recent_.size() < kEnough) return std::nullopt;
    std::vector<double> sorted(recent_.begin(), recent_.end());
    std::sort(sorted.begin(), sorted.end());
    return std::max(kSlow * sorted[sorted.size() / 2], kShortest);
  }

 private:
  static constexpr size_t kRecent = 64;  // groups that say what is usual
  static constexpr size_t kEnough = 8;   // of them, before anything is called slow
  static constexpr double kSlow = 5;     // times the median
  static constexpr double kShortest = 1;

  double fixed_;
  std::deque<double> recent_;
};

}  // namespace terse::rl
