// The thread of the pool sleeps in poll() until a pipe is ready, a request arrives (an eventfd) or a deadline passes.
#include "rl/tasks/external/process_pool.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "base/errors.h"
#include "base/utf8.h"
#include "rl/tasks/external/worker.h"

namespace terse::rl {

namespace {

using Seconds = std::chrono::duration<double>;

constexpr size_t kMostWaiting = 64 << 20;                     // bytes of requests that wait for a program
constexpr int64_t kMostAttempts = 2;                          // programs that a request is sent to
constexpr int64_t kMostAtOnce = 64;                           // requests that a program may have at once
constexpr auto kLook = std::chrono::milliseconds(200);        // between two looks for programs that have ended
constexpr auto kGrace = std::chrono::seconds(2);              // for a program to end after its input has ended
constexpr auto kFirstPause = std::chrono::milliseconds(100);  // after a failed start; it doubles with each one
constexpr size_t kShown = 200;                                // bytes of a wrong line in a message

PoolClock::duration ticks(double seconds) {
  return std::chrono::duration_cast<PoolClock::duration>(Seconds(seconds));
}

std::string shown(const std::string& line) {
  return "'" + printable(line.substr(0, kShown)) + (line.size() > kShown ? "..." : "") + "'";
}

void settle(PoolRequest& request, VerifyStatus status, const std::string& problem) {
  request.promise.set_value({.status = status, .problem = problem});
}

// Starts a thread that no signal is delivered to: signals belong to the main thread, and a broken pipe is an error
// code.
template <class Work>
std::thread quiet_thread(Work work) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  try {
    thread = std::thread(std::move(work));
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

// `mutex` protects what callers share with the thread of the pool; the rest belongs to that thread.
struct ProcessPool::State {
  ProcessPoolOptions options;
  Greet greet;
  std::shared_ptr<MessageLimiter> messages;
  Descriptor wake;

  mutable std::mutex mutex;
  std::condition_variable changed;  // space in the queue, a greeting, or the end
  std::deque<PoolRequest> queue;
  size_t waiting = 0;  // bytes in the queue
  bool closing = false, has_greeted = false;
  std::string failure;

  std::vector<Worker> workers;
  int64_t next_id = 1, failed_starts = 0, losses = 0;
  std::thread thread;

  void run();
  void start(size_t number, PoolClock::time_point now);
  void assign(Worker& worker, PoolClock::time_point now);
  void wait_for_something(PoolClock::time_point now);
  void look_after(size_t number, PoolClock::time_point now);
  std::string take(Worker& worker, const std::string& line);
  void lose(size_t number, const std::string& why);
  void put_back(PoolRequest request);
  void give_up(const std::string& why);
  void end_all();

  std::string name() const { return fmt::format("the program '{}'", fmt::join(options.command, " ")); }
  void say(size_t number, const std::string& what) const {
    messages->send(fmt::format("external task, program {}: {}", number, printable(what)));
  }
  bool is_closing() const {
    const std::lock_guard lock(mutex);
    return closing;
  }
  bool has_failed() const {
    const std::lock_guard lock(mutex);
    return !failure.empty();
  }
  void wake_up() const {
    const uint64_t one = 1;
    retry([&] { return ::write(wake.get(), &one, sizeof one); });
  }
};

void ProcessPool::State::run() {
  while (!is_closing()) {
    const auto now = PoolClock::now();
    for (size_t i = 0; i < workers.size() && !has_failed(); ++i) {
      if (workers[i].phase == Worker::Phase::kOff && now >= workers[i].deadline) start(i, now);
      if (workers[i].phase == Worker::Phase::kReady) assign(workers[i], now);
      if (workers[i].phase != Worker::Phase::kOff) workers[i].write();
    }
    wait_for_something(now);
    for (size_t i = 0; i < workers.size() && !has_failed(); ++i) {
      if (workers[i].phase != Worker::Phase::kOff) look_after(i, PoolClock::now());
    }
  }
  end_all();
}

void ProcessPool::State::start(size_t number, PoolClock::time_point now) {
  nlohmann::json greeting = options.greeting;
  greeting["worker"] = number;
  try {
    workers[number].start(options.command, greeting, now + ticks(options.start_deadline));
  } catch (const MachineError& error) {
    lose(number, error.what());
  } catch (const ResourceError& error) {
    lose(number, error.what());
  }
}

void ProcessPool::State::assign(Worker& worker, PoolClock::time_point now) {
  while (std::ssize(worker.asked) < worker.concurrency) {
    PoolRequest request;
    {
      const std::lock_guard lock(mutex);
      if (queue.empty()) return;
      request = std::move(queue.front());
      queue.pop_front();
      waiting -= request.body.size();
    }
    changed.notify_all();
    request.deadline = now + ticks(options.deadline);
    ++request.attempts;
    worker.send(next_id++, std::move(request));
  }
}

void ProcessPool::State::wait_for_something(PoolClock::time_point now) {
  std::vector<pollfd> pipes = {{wake.get(), POLLIN, 0}};
  auto next = now + kLook;
  for (Worker& worker : workers) {
    if (worker.phase != Worker::Phase::kReady) next = std::min(next, worker.deadline);
    for (const auto& [id, request] : worker.asked) next = std::min(next, request.deadline);
    if (worker.phase == Worker::Phase::kOff) continue;
    pipes.push_back({worker.process().output(), POLLIN, 0});
    if (worker.process().errors() >= 0) pipes.push_back({worker.process().errors(), POLLIN, 0});
    if (worker.has_to_write()) pipes.push_back({worker.process().input(), POLLOUT, 0});
  }
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(std::max(next - now, PoolClock::duration::zero()));
  ::poll(pipes.data(), pipes.size(), static_cast<int>(wait.count()));
  uint64_t count = 0;
  if ((pipes[0].revents & POLLIN) != 0) retry([&] { return ::read(wake.get(), &count, sizeof count); });
}

void ProcessPool::State::look_after(size_t number, PoolClock::time_point now) {
  Worker& worker = workers[number];
  std::string wrong;
  const std::string ended = worker.read(
      [&](const std::string& line) {
        wrong = take(worker, line);
        return wrong.empty();
      },
      [&](const std::string& message) { say(number, message); });
  if (wrong.empty()) wrong = ended;
  if (wrong.empty() && worker.phase == Worker::Phase::kStarting && now >= worker.deadline)
    wrong = fmt::format("did not greet within {:g} s", options.start_deadline);
  if (wrong.empty() && worker.phase == Worker::Phase::kReady) {
    for (auto entry = worker.asked.begin(); entry != worker.asked.end();) {
      if (now < entry->second.deadline) {
        ++entry;
        continue;
      }
      wrong = fmt::format("did not reply to a request within {:g} s", options.deadline);
      settle(entry->second, VerifyStatus::kTimeout, wrong);
      entry = worker.asked.erase(entry);
    }
  }
  if (!wrong.empty()) lose(number, wrong);
}

// Returns what is wrong with a line; empty: nothing.
std::string ProcessPool::State::take(Worker& worker, const std::string& line) {
  if (line.find_first_not_of(" \t\r") == std::string::npos) return "";
  nlohmann::json reply = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!reply.is_object()) return fmt::format("wrote a line that is no JSON object: {}", shown(line));
  if (worker.phase == Worker::Phase::kStarting) {
    const std::string problem = greet(reply, worker.concurrency);
    if (!problem.empty()) return fmt::format("wrote a greeting that cannot be used: {}", problem);
    worker.concurrency = std::clamp<int64_t>(worker.concurrency, 1, kMostAtOnce);
    worker.phase = Worker::Phase::kReady;
    failed_starts = 0;
    const std::lock_guard lock(mutex);
    has_greeted = true;
    changed.notify_all();
    return "";
  }
  const auto id = reply.find("id");
  const auto found =
      id != reply.end() && id->is_number_integer() ? worker.asked.find(id->get<int64_t>()) : worker.asked.end();
  if (found == worker.asked.end()) return fmt::format("replied to what it was not asked: {}", shown(line));
  failed_starts = losses = 0;
  found->second.promise.set_value({.body = std::move(reply)});
  worker.asked.erase(found);
  return "";
}

void ProcessPool::State::lose(size_t number, const std::string& why) {
  Worker& worker = workers[number];
  const bool started = worker.phase == Worker::Phase::kReady;
  say(number, why);
  auto pause = PoolClock::duration::zero();
  if (!started) pause = kFirstPause * (1 << std::min<int64_t>(failed_starts, 6));
  (started ? losses : failed_starts) += 1;
  if (failed_starts >= options.most_starts || losses >= options.most_losses) {
    const std::string last = worker.last_message.empty() ? "" : "; its last message: " + shown(worker.last_message);
    give_up(failed_starts >= options.most_starts
                ? fmt::format("{} failed {} times in a row to start; the last time it {}{}", name(), failed_starts, why,
                              last)
                : fmt::format("{} ended {} times in a row without a single reply; the last time it {}{}", name(),
                              losses, why, last));
    return;
  }
  for (auto& [id, request] : worker.stop()) {
    if (request.attempts < kMostAttempts) {
      put_back(std::move(request));
    } else {
      settle(request, VerifyStatus::kError, why);
    }
  }
  worker.deadline = PoolClock::now() + pause;
}

void ProcessPool::State::put_back(PoolRequest request) {
  const std::lock_guard lock(mutex);
  waiting += request.body.size();
  queue.push_front(std::move(request));
}

void ProcessPool::State::give_up(const std::string& why) {
  std::deque<PoolRequest> left;
  {
    const std::lock_guard lock(mutex);
    failure = why;
    left.swap(queue);
    waiting = 0;
  }
  for (Worker& worker : workers) {
    for (auto& [id, request] : worker.stop()) left.push_back(std::move(request));
    worker.deadline = PoolClock::time_point::max();
  }
  for (PoolRequest& request : left) settle(request, VerifyStatus::kError, why);
  changed.notify_all();
}

void ProcessPool::State::end_all() {
  for (Worker& worker : workers) {
    if (worker.phase != Worker::Phase::kOff) worker.process().close_input();
  }
  const auto until = PoolClock::now() + kGrace;
  const auto runs = [](Worker& worker) { return worker.phase != Worker::Phase::kOff && !worker.process().has_ended(); };
  while (std::any_of(workers.begin(), workers.end(), runs) && PoolClock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  give_up("the task has ended");
}

ProcessPool::ProcessPool(ProcessPoolOptions options, Greet greet, std::shared_ptr<MessageLimiter> messages)
    : state_(std::make_unique<State>()) {
  state_->workers = std::vector<Worker>(static_cast<size_t>(options.workers));
  state_->options = std::move(options);
  state_->greet = std::move(greet);
  state_->messages = std::move(messages);
  state_->wake = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (state_->wake.get() < 0)
    throw ResourceError(fmt::format("no eventfd for {}: {}", state_->name(), std::strerror(errno)));
  state_->thread = quiet_thread([state = state_.get()] { state->run(); });
}

ProcessPool::~ProcessPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->changed.notify_all();
  state_->wake_up();
  state_->thread.join();
}

std::future<ProcessPool::Reply> ProcessPool::submit(nlohmann::json request) {
  PoolRequest waiting;
  // The bytes of a response need not be UTF-8.
  waiting.body = request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::future<Reply> reply = waiting.promise.get_future();
  const size_t bytes = waiting.body.size();
  if (bytes + 64 > kLongestLine) {
    settle(waiting, VerifyStatus::kError, fmt::format("a request of {} bytes is too long", bytes));
    return reply;
  }
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(
      lock, [&] { return state_->closing || !state_->failure.empty() || state_->waiting + bytes <= kMostWaiting; });
  if (state_->closing || !state_->failure.empty()) {
    settle(waiting, VerifyStatus::kError, state_->closing ? "the task has ended" : state_->failure);
    return reply;
  }
  state_->waiting += bytes;
  state_->queue.push_back(std::move(waiting));
  lock.unlock();
  state_->wake_up();
  return reply;
}

std::string ProcessPool::wait_for_greeting() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->has_greeted || !state_->failure.empty(); });
  return state_->failure;
}

std::string ProcessPool::failure() const {
  const std::lock_guard lock(state_->mutex);
  return state_->failure;
}

}  // namespace terse::rl
