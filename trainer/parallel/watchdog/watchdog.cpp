// A request is one byte. Its reply has this byte as MPI tag. A thread that waits for replies answers requests
// meanwhile, so that two ranks that ask each other do not deadlock.
#include "trainer/parallel/watchdog/watchdog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <sstream>

#include "trainer/parallel/watchdog/backoff.h"
#include "trainer/parallel/watchdog/waited.h"

namespace terse::trainer {

namespace {

using Clock = RankStatus::Clock;
constexpr int kRequestTag = 1;
constexpr char kAskStatus = '?', kAskToPrint = '!';  // requests, and the MPI tags of their replies
constexpr char kYes = 'y', kNo = 'n', kProgress = 'm', kNoProgress = 's';
constexpr double kReplyTimeout = 2, kAbortTimeout = 10;  // seconds; after kAbortTimeout more, a rank ends the job
constexpr double kPrintReplyTimeout = 4;                 // longer: a rank that has printed needs time to end this one
constexpr char kEndOfRanks = ';';
constexpr auto kTick = std::chrono::milliseconds(10);

Clock::time_point in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

Watchdog::Watchdog(mpi::Comm comm, std::vector<std::string> names, double deadline)
    : comm_(std::move(comm)), names_(std::move(names)), deadline_(deadline), replies_(comm_) {
  thread_ = std::thread([this] { serve(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(stop_mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  thread_.join();
}

void Watchdog::serve() {
  std::unique_lock lock(stop_mutex_);
  for (Clock::time_point last = Clock::now(); !stop_;) {
    lock.unlock();
    const Clock::time_point now = Clock::now();
    if (now - last > Waited::kGap) status_.record_resume();
    last = now;
    answer_requests();
    // The threads of the groups check the deadline themselves. This detects a thread that hangs inside a call.
    if (status_.stuck(2 * deadline_ + kAbortTimeout))
      abort(kExitHang, fmt::format("{} is stuck {}", names_[comm_.rank()], status_.report(0).text));
    lock.lock();
    stop_changed_.wait_for(lock, kTick, [this] { return stop_; });
  }
}

void Watchdog::answer_requests() {
  const std::unique_lock lock(answering_, std::try_to_lock);
  if (!lock) return;  // another thread is answering
  while (const auto message = comm_.poll(kRequestTag)) {
    const char what = message->bytes[0];
    std::string reply;
    if (what == kAskStatus) {
      const RankStatus::Report report = status_.report(deadline_);
      reply = fmt::format("{}{}{}{}", report.making_progress ? kProgress : kNoProgress, fmt::join(report.awaited, " "),
                          kEndOfRanks, report.text);
    } else {
      reply = grant_print(message->source) ? kYes : kNo;
    }
    texts_.push_back(std::make_unique<std::string>(std::move(reply)));
    replies_.send(message->source, what, texts_.back()->data(), static_cast<int64_t>(texts_.back()->size()));
  }
  if (replies_.test()) texts_.clear();
}

// Sends `what` to `ranks` and returns their replies; empty for a rank that has not replied after `timeout` seconds.
std::vector<std::string> Watchdog::request(char what, const std::vector<int64_t>& ranks, double timeout) {
  const std::lock_guard lock(asking_);
  std::vector<std::string> replies(ranks.size());
  // Static, because a send to a stopped rank may stay incomplete, and MPI then keeps reading its buffer.
  static const char kRequests[] = {kAskStatus, kAskToPrint};
  mpi::Requests requests(comm_);
  for (const int64_t rank : ranks) requests.send(rank, kRequestTag, &kRequests[what == kAskToPrint], 1);
  const Clock::time_point until = in_seconds(timeout);
  size_t missing = ranks.size();
  for (Backoff backoff; missing > 0 && Clock::now() < until; backoff.pause()) {
    requests.test();
    answer_requests();
    for (size_t i = 0; i < ranks.size(); ++i) {
      if (!replies[i].empty()) continue;
      if (auto reply = comm_.poll(what, ranks[i])) {
        replies[i] = std::move(reply->bytes);
        --missing;
      }
    }
  }
  return replies;
}

std::vector<Watchdog::Answer> Watchdog::query(const std::vector<int64_t>& ranks) {
  const std::vector<std::string> replies = request(kAskStatus, ranks, kReplyTimeout);
  std::vector<Answer> answers;
  const std::lock_guard lock(granting_);
  for (size_t i = 0; i < ranks.size(); ++i) {
    const std::string& reply = replies[i];
    if (reply.empty()) {
      unresponsive_.insert(ranks[i]);
      answers.emplace_back();
    } else {
      const size_t end = reply.find(kEndOfRanks);
      std::istringstream awaited(reply.substr(1, end - 1));
      answers.push_back({.received = true,
                         .making_progress = reply[0] == kProgress,
                         .awaited = {std::istream_iterator<int64_t>(awaited), {}},
                         .text = reply.substr(end + 1)});
    }
  }
  return answers;
}

std::map<int64_t, Watchdog::Answer> Watchdog::blame(const std::vector<int64_t>& ranks) {
  std::map<int64_t, Answer> all;
  std::vector<Answer> answers = query(ranks);
  for (size_t i = 0; i < ranks.size(); ++i) all[ranks[i]] = std::move(answers[i]);
  const auto unresponsive = [](const auto& entry) { return !entry.second.received; };
  if (std::any_of(all.begin(), all.end(), unresponsive)) {
    std::erase_if(all, [&](const auto& entry) { return !unresponsive(entry); });
    return all;
  }
  const bool excused = waits_for_straggler(all);
  std::erase_if(all, [&](const auto& entry) {
    return entry.second.making_progress || (excused && !entry.second.awaited.empty());
  });
  return all;
}

// Follows the chain of ranks that wait for ranks. Returns true when it reaches a rank that does not answer, makes
// progress, or waits for nobody, and false when the ranks only wait for each other.
bool Watchdog::waits_for_straggler(const std::map<int64_t, Answer>& waiting) {
  std::set<int64_t> seen{comm_.rank()};
  std::vector<Answer> answers;
  for (const auto& [rank, answer] : waiting) {
    seen.insert(rank);
    answers.push_back(answer);
  }
  while (!answers.empty()) {
    std::vector<int64_t> next;
    for (const Answer& answer : answers) {
      if (!answer.received || answer.making_progress || answer.awaited.empty()) return true;
      for (const int64_t rank : answer.awaited)
        if (seen.insert(rank).second) next.push_back(rank);
    }
    answers = query(next);
  }
  return false;
}

bool Watchdog::grant_print(int64_t rank) {
  const std::lock_guard lock(granting_);
  if (printer_ < 0) printer_ = rank;
  return printer_ == rank;
}

bool Watchdog::is_unresponsive(int64_t rank) {
  const std::lock_guard lock(granting_);
  return unresponsive_.contains(rank);
}

// Whether this rank may print. It asks the lower ranks in turn, and the first that replies decides. If none replies,
// this rank decides.
bool Watchdog::may_print() {
  for (int64_t rank = 0; rank < comm_.rank(); ++rank) {
    if (is_unresponsive(rank)) continue;
    const std::string reply = request(kAskToPrint, {rank}, kPrintReplyTimeout)[0];
    if (!reply.empty()) return reply[0] == kYes;
  }
  return grant_print(comm_.rank());
}

void Watchdog::abort(int code, const std::string& message) {
  aborting_.lock();  // any other thread that ends the job blocks here until the process has ended
  if (may_print()) {
    std::fputs(fmt::format("terse: {}\n", message).c_str(), stderr);
    std::fflush(stderr);
  } else {
    // The rank that prints ends this one, too. If that has not happened after kAbortTimeout, this rank ends the job.
    for (const auto until = in_seconds(kAbortTimeout); Clock::now() < until; std::this_thread::sleep_for(kTick))
      answer_requests();
  }
  mpi::abort_job(code);
}

}  // namespace terse::trainer
