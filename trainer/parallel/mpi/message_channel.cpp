// Polls for messages instead of blocking in MPI, so that it notices when the deadline has passed.
#include "trainer/parallel/mpi/message_channel.h"

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>

#include "base/clock.h"
#include "trainer/parallel/watchdog/backoff.h"

namespace terse::trainer {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kMessageTag = 1;
constexpr size_t kLongest = size_t{1} << 30;

// For its lifetime, registers with RankStatus that the main thread waits for these ranks.
class Waiting {
 public:
  Waiting(RankStatus& status, const std::vector<int64_t>& ranks) : status_(status) { status_.wait_for_messages(ranks); }
  ~Waiting() { status_.wait_for_messages({}); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  RankStatus& status_;
};

}  // namespace

MessageChannel::MessageChannel(mpi::Comm comm, Watchdog& watchdog)
    : comm_(std::move(comm)), watchdog_(watchdog), sending_(comm_) {}

void MessageChannel::send(int64_t rank, std::string bytes) {
  if (bytes.empty() || bytes.size() >= kLongest)
    throw std::invalid_argument(fmt::format("a message has {} bytes; expected 1 to {}", bytes.size(), kLongest - 1));
  if (sending_.test()) sent_.clear();
  // On the heap, because MPI reads the bytes at this address until the send is complete, and sent_ moves its elements.
  sent_.push_back(std::make_unique<std::string>(std::move(bytes)));
  sending_.send(rank, kMessageTag, sent_.back()->data(), static_cast<int64_t>(sent_.back()->size()));
}

std::optional<MessageChannel::Message> MessageChannel::take() {
  sending_.test();
  std::optional<Message> message = comm_.poll(kMessageTag);
  if (message) silent_.restart();
  return message;
}

std::optional<MessageChannel::Message> MessageChannel::wait(const Wait& wait, double seconds) {
  const Clock::time_point start = Clock::now();
  silent_.go_on();
  const Waiting waiting(watchdog_.status(), wait.ranks);
  for (Backoff backoff;; backoff.pause()) {
    if (auto message = take()) return message;
    if (silent_.seconds() > watchdog_.deadline()) {
      handle_timeout(wait);
      silent_.restart();
      return std::nullopt;
    }
    if (seconds_since(start) >= seconds) return std::nullopt;
  }
}

void MessageChannel::handle_timeout(const Wait& wait) {
  std::string problem;
  for (const auto& [rank, answer] : watchdog_.blame(wait.ranks)) {
    if (answer.received && wait.answering_is_enough) continue;
    problem +=
        fmt::format("{}{} has not sent {} for {} s (parallel.deadline): {}.", problem.empty() ? "" : " ",
                    watchdog_.name(rank), wait.what, watchdog_.deadline(),
                    answer.received ? answer.text : "it does not answer, so it is stopped or its machine is lost");
  }
  if (!problem.empty()) watchdog_.abort(kExitHang, problem);
}

}  // namespace terse::trainer
