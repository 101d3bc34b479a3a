// A request is one byte. Its reply has this byte as MPI tag. A thread that waits for replies answers requests
// meanwhile, so that two ranks that ask each other do not deadlock.
#include "trainer/parallel/watchdog/watch.h"

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

using Clock = Situation::Clock;
constexpr int kRequestTag = 1;
constexpr char kAsk = '?', kSpeak = '!';  // requests, and the MPI tags of their replies
constexpr char kYes = 'y', kNo = 'n', kMoving = 'm', kStill = 's';
constexpr double kPatience = 2, kSilence = 10;  // seconds; after kSilence more, a rank ends the job on its own
constexpr double kSpeakPatience = 4;            // longer: a rank that has printed needs time to end this one
constexpr char kEndOfRanks = ';';
constexpr auto kTick = std::chrono::milliseconds(10);

Clock::time_point in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

Watch::Watch(mpi::Comm comm, std::vector<std::string> names, double deadline)
    : comm_(std::move(comm)), names_(std::move(names)), deadline_(deadline), replies_(comm_) {
  thread_ = std::thread([this] { serve(); });
}

Watch::~Watch() {
  {
    const std::lock_guard lock(stop_mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  thread_.join();
}

void Watch::serve() {
  std::unique_lock lock(stop_mutex_);
  for (Clock::time_point last = Clock::now(); !stop_;) {
    lock.unlock();
    const Clock::time_point now = Clock::now();
    if (now - last > Waited::kGap) situation_.wake();
    last = now;
    answer_requests();
    // The threads of the groups check the deadline themselves. This detects a thread that hangs inside a call.
    if (situation_.stuck(2 * deadline_ + kSilence))
      end(kExitHang, fmt::format("{} is stuck {}", names_[comm_.rank()], situation_.report(0).text));
    lock.lock();
    stop_changed_.wait_for(lock, kTick, [this] { return stop_; });
  }
}

void Watch::answer_requests() {
  const std::unique_lock lock(answering_, std::try_to_lock);
  if (!lock) return;  // another thread is answering
  while (const auto message = comm_.poll(kRequestTag)) {
    const char what = message->bytes[0];
    std::string reply;
    if (what == kAsk) {
      const Situation::Report report = situation_.report(deadline_);
      reply = fmt::format("{}{}{}{}", report.moving ? kMoving : kStill, fmt::join(report.awaited, " "), kEndOfRanks,
                          report.text);
    } else {
      reply = grant(message->source) ? kYes : kNo;
    }
    texts_.push_back(std::make_unique<std::string>(std::move(reply)));
    replies_.send(message->source, what, texts_.back()->data(), static_cast<int64_t>(texts_.back()->size()));
  }
  if (replies_.test()) texts_.clear();
}

// Sends `what` to `ranks` and returns their replies; empty for a rank that has not replied after `patience` seconds.
std::vector<std::string> Watch::request(char what, const std::vector<int64_t>& ranks, double patience) {
  const std::lock_guard lock(asking_);
  std::vector<std::string> replies(ranks.size());
  // Static, because a send to a stopped rank may stay incomplete, and MPI then keeps reading its buffer.
  static const char kWhats[] = {kAsk, kSpeak};
  mpi::Requests requests(comm_);
  for (const int64_t rank : ranks) requests.send(rank, kRequestTag, &kWhats[what == kSpeak], 1);
  const Clock::time_point until = in_seconds(patience);
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

std::vector<Watch::Answer> Watch::ask(const std::vector<int64_t>& ranks) {
  const std::vector<std::string> replies = request(kAsk, ranks, kPatience);
  std::vector<Answer> answers;
  const std::lock_guard lock(granting_);
  for (size_t i = 0; i < ranks.size(); ++i) {
    const std::string& reply = replies[i];
    if (reply.empty()) {
      silent_.insert(ranks[i]);
      answers.emplace_back();
    } else {
      const size_t end = reply.find(kEndOfRanks);
      std::istringstream awaited(reply.substr(1, end - 1));
      answers.push_back({.came = true,
                         .moving = reply[0] == kMoving,
                         .awaited = {std::istream_iterator<int64_t>(awaited), {}},
                         .text = reply.substr(end + 1)});
    }
  }
  return answers;
}

std::map<int64_t, Watch::Answer> Watch::blame(const std::vector<int64_t>& ranks) {
  std::map<int64_t, Answer> all;
  std::vector<Answer> answers = ask(ranks);
  for (size_t i = 0; i < ranks.size(); ++i) all[ranks[i]] = std::move(answers[i]);
  const auto silent = [](const auto& entry) { return !entry.second.came; };
  if (std::any_of(all.begin(), all.end(), silent)) {
    std::erase_if(all, [&](const auto& entry) { return !silent(entry); });
    return all;
  }
  const bool excused = leads_elsewhere(all);
  std::erase_if(all,
                [&](const auto& entry) { return entry.second.moving || (excused && !entry.second.awaited.empty()); });
  return all;
}

// Follows the chain of ranks that wait for ranks. Returns true when it reaches a rank that does not answer, moves data,
// or waits for nobody, and false when the ranks only wait for each other.
bool Watch::leads_elsewhere(const std::map<int64_t, Answer>& waiting) {
  std::set<int64_t> seen{comm_.rank()};
  std::vector<Answer> answers;
  for (const auto& [rank, answer] : waiting) {
    seen.insert(rank);
    answers.push_back(answer);
  }
  while (!answers.empty()) {
    std::vector<int64_t> next;
    for (const Answer& answer : answers) {
      if (!answer.came || answer.moving || answer.awaited.empty()) return true;
      for (const int64_t rank : answer.awaited)
        if (seen.insert(rank).second) next.push_back(rank);
    }
    answers = ask(next);
  }
  return false;
}

bool Watch::grant(int64_t rank) {
  const std::lock_guard lock(granting_);
  if (speaker_ < 0) speaker_ = rank;
  return speaker_ == rank;
}

bool Watch::is_silent(int64_t rank) {
  const std::lock_guard lock(granting_);
  return silent_.contains(rank);
}

// Whether this rank may print. It asks the lower ranks in turn, and the first that replies decides. If none replies,
// this rank decides.
bool Watch::may_speak() {
  for (int64_t rank = 0; rank < comm_.rank(); ++rank) {
    if (is_silent(rank)) continue;
    const std::string reply = request(kSpeak, {rank}, kSpeakPatience)[0];
    if (!reply.empty()) return reply[0] == kYes;
  }
  return grant(comm_.rank());
}

void Watch::end(int code, const std::string& message) {
  ending_.lock();  // any other thread that ends the job blocks here until the process has ended
  if (may_speak()) {
    std::fputs(fmt::format("terse: {}\n", message).c_str(), stderr);
    std::fflush(stderr);
  } else {
    // The rank that prints ends this one, too. If that has not happened after kSilence, this rank ends the job.
    for (const auto until = in_seconds(kSilence); Clock::now() < until; std::this_thread::sleep_for(kTick))
      answer_requests();
  }
  mpi::abort_job(code);
}

}  // namespace terse::trainer
