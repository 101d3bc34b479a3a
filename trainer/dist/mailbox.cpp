#include "trainer/dist/mailbox.h"

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>

#include "trainer/dist/backoff.h"

namespace terse::trainer {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kLetterTag = 1;
constexpr size_t kLongest = size_t{1} << 30;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

}  // namespace

Mailbox::Mailbox(mpi::Comm comm, Watch& watch) : comm_(std::move(comm)), watch_(watch), sending_(comm_) {}

void Mailbox::send(int64_t rank, std::string bytes) {
  if (bytes.empty() || bytes.size() >= kLongest)
    throw std::invalid_argument(fmt::format("a letter of {} bytes; expected 1 to {}", bytes.size(), kLongest - 1));
  if (sending_.test()) sent_.clear();
  // On the heap: a letter must stay where it is.
  sent_.push_back(std::make_unique<std::string>(std::move(bytes)));
  sending_.send(rank, kLetterTag, sent_.back()->data(), static_cast<int64_t>(sent_.back()->size()));
}

std::optional<Mailbox::Letter> Mailbox::take() {
  sending_.test();
  std::optional<Letter> letter = comm_.poll(kLetterTag);
  if (letter) silent_ = 0;
  return letter;
}

std::optional<Mailbox::Letter> Mailbox::wait(const Wait& wait, double seconds) {
  const Clock::time_point start = Clock::now();
  const double before = silent_;
  for (Backoff backoff;; backoff.pause()) {
    if (auto letter = take()) return letter;
    const double waited = seconds_since(start);
    silent_ = before + waited;
    if (silent_ > watch_.deadline()) {
      judge(wait);
      silent_ = 0;
      return std::nullopt;
    }
    if (waited >= seconds) return std::nullopt;
  }
}

void Mailbox::judge(const Wait& wait) {
  const std::vector<Watch::Answer> answers = watch_.ask(wait.ranks);
  std::string problem;
  for (size_t i = 0; i < answers.size(); ++i) {
    const Watch::Answer& answer = answers[i];
    if (answer.came && (wait.answering_is_enough || answer.moving)) continue;
    problem += fmt::format("{}{} has not sent {} for {} s (parallel.deadline): {}.", problem.empty() ? "" : " ",
                           watch_.name(wait.ranks[i]), wait.what, watch_.deadline(),
                           answer.came ? answer.text : "it does not answer, so it is stopped or its machine is lost");
  }
  if (!problem.empty()) watch_.end(kExitHang, problem);
}

}  // namespace terse::trainer
