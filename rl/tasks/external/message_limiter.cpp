// Counts messages in windows of time.
#include "rl/tasks/external/message_limiter.h"

#include <fmt/format.h>

namespace terse::rl {

void MessageLimiter::send(const std::string& message, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (now - begin_ >= window_) {
    if (left_out_ > 0) sink_(fmt::format("{} more messages were left out", left_out_));
    begin_ = now;
    sent_ = left_out_ = 0;
  }
  if (sent_ >= most_) {
    ++left_out_;
    return;
  }
  ++sent_;
  sink_(message);
}

void MessageLimiter::redirect(Sink sink) {
  const std::lock_guard lock(mutex_);
  sink_ = std::move(sink);
}

}  // namespace terse::rl
