// Worker threads take jobs from a queue. A monitor thread watches their deadlines. It gives up a job that exceeds its
// deadline and replaces the thread, because C++ offers no way to stop a thread. A thread that was given up ends when
// its call returns, if it ever does.
#include "rl/tasks/verifier_pool.h"

#include <cxxabi.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace terse::rl {

namespace {

using Clock = std::chrono::steady_clock;

struct Job {
  std::shared_ptr<const Item> item;
  Response response;
  std::promise<Verdict> promise;
  Clock::time_point started;
  bool settled = false;
};

struct Worker {
  std::thread thread;
  std::shared_ptr<Job> job;  // in progress, or null
  bool given_up = false;     // its job exceeded the deadline
  bool ended = false;        // its thread has ended, or is about to
};

}  // namespace

// Shared with the threads, because one that hangs outlives the pool. `mutex` protects all of it but `verify` and
// `options`.
struct VerifierPool::State {
  Verify verify;
  VerifierOptions options;
  std::mutex mutex;
  std::condition_variable work, watch;  // for workers; for the monitor
  std::deque<std::shared_ptr<Job>> queue;
  std::vector<std::shared_ptr<Worker>> workers;
  std::thread monitor;
  bool closing = false;
  bool monitor_sleeps = false;  // until it is notified; otherwise until a deadline, which no later job's precedes

  void settle(Job& job, Verdict verdict) {
    if (job.settled) return;
    job.settled = true;
    job.promise.set_value(std::move(verdict));
  }
};

namespace {

// Never throws, but lets the cancellation of a thread pass.
template <class Verify>
Verdict judge(const Verify& verify, const Job& job) {
  try {
    Verdict verdict = verify(*job.item, job.response);
    const bool earns_less_than_nothing = verdict.correct && verdict.score < 0;
    if (verdict.status != VerifyStatus::kOk || (std::isfinite(verdict.score) && !earns_less_than_nothing))
      return verdict;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {  // nothing is known about the response
  }
  return {.status = VerifyStatus::kError};
}

template <class State>
void work(const std::shared_ptr<State>& state, const std::shared_ptr<Worker>& me) {
  // Runs also when the verifier ends this thread.
  struct Leave {
    State& state;
    Worker& me;
    ~Leave() {
      const std::lock_guard lock(state.mutex);
      me.ended = true;
      if (me.job) state.settle(*me.job, {.status = VerifyStatus::kError});
      me.job.reset();
      state.watch.notify_one();
    }
  } leave{*state, *me};
  std::unique_lock lock(state->mutex);
  while (!me->given_up) {
    state->work.wait(lock, [&] { return state->closing || !state->queue.empty(); });
    if (state->queue.empty()) return;
    me->job = std::move(state->queue.front());
    state->queue.pop_front();
    me->job->started = Clock::now();
    const std::shared_ptr<Job> job = me->job;
    if (state->monitor_sleeps) state->watch.notify_one();
    lock.unlock();
    Verdict verdict = judge(state->verify, *job);
    lock.lock();
    state->settle(*job, std::move(verdict));
    me->job.reset();
  }
}

template <class State>
void start_worker(const std::shared_ptr<State>& state) {
  const auto worker = std::make_shared<Worker>();
  state->workers.push_back(worker);
  worker->thread = std::thread([state, worker] { work(state, worker); });
}

// Replaces the threads that have exceeded their deadline or ended. Returns the next deadline.
template <class State>
Clock::time_point look_after(const std::shared_ptr<State>& state) {
  const auto limit =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(state->options.deadline));
  Clock::time_point next = Clock::time_point::max();
  size_t lost = 0;
  for (const std::shared_ptr<Worker>& worker : state->workers) {
    if (worker->job && !worker->ended) {
      if (Clock::now() >= worker->job->started + limit) {
        state->settle(*worker->job, {.status = VerifyStatus::kTimeout});
        worker->given_up = true;
      } else {
        next = std::min(next, worker->job->started + limit);
      }
    }
    if (!worker->given_up && !worker->ended) continue;
    worker->thread.detach();
    ++lost;
  }
  std::erase_if(state->workers, [](const auto& worker) { return worker->given_up || worker->ended; });
  for (; lost > 0 && !(state->closing && state->queue.empty()); --lost) start_worker(state);
  return next;
}

template <class State>
void monitor(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  for (;;) {
    const Clock::time_point next = look_after(state);
    if (state->closing && state->workers.empty()) return;
    if (next == Clock::time_point::max()) {
      state->monitor_sleeps = true;
      state->watch.wait(lock);
      state->monitor_sleeps = false;
    } else {
      state->watch.wait_until(lock, next);
    }
  }
}

}  // namespace

VerifierPool::VerifierPool(Verify verify, const VerifierOptions& options) : state_(std::make_shared<State>()) {
  state_->verify = std::move(verify);
  state_->options = options;
}

VerifierPool::~VerifierPool() {
  if (!state_->monitor.joinable()) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
    state_->work.notify_all();  // a worker that leaves wakes the monitor
  }
  state_->monitor.join();
}

std::future<Verdict> VerifierPool::submit(std::shared_ptr<const Item> item, Response response) {
  const auto job = std::make_shared<Job>();
  job->item = std::move(item);
  job->response = std::move(response);
  std::future<Verdict> future = job->promise.get_future();
  const std::lock_guard lock(state_->mutex);
  if (!state_->monitor.joinable()) {  // a pool that judges nothing starts no threads
    for (int64_t i = 0; i < state_->options.threads; ++i) start_worker(state_);
    state_->monitor = std::thread([state = state_] { monitor(state); });
  }
  state_->queue.push_back(job);
  state_->work.notify_one();
  return future;
}

}  // namespace terse::rl
