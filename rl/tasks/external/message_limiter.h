// Passes on messages at a limited rate, so that a program that floods its standard error does not flood a log.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

namespace terse::rl {

// Thread-safe.
class MessageLimiter {
 public:
  using Sink = std::function<void(const std::string&)>;
  using Clock = std::chrono::steady_clock;

  // At most `most` messages in each window of `window`. The first message of a later window tells how many were left
  // out before it.
  MessageLimiter(Sink sink, int64_t most, Clock::duration window)
      : sink_(std::move(sink)), most_(most), window_(window) {}

  void send(const std::string& message, Clock::time_point now = Clock::now());
  void redirect(Sink sink);

 private:
  std::mutex mutex_;
  Sink sink_;
  int64_t most_;
  Clock::duration window_;
  Clock::time_point begin_ = {};  // of the window
  int64_t sent_ = 0, left_out_ = 0;
};

}  // namespace terse::rl
