// A process group and the thread that runs its operations.
//
// Operations run one at a time, in the order in which run() received them. Each operation has two steps:
//
//   1. Fingerprints. Every rank sends every other rank of the group the OpFingerprint of the operation that it has
//      reached (op_fingerprint.h). The step ends when all fingerprints have arrived and match. So a rank that is
//      missing, or that calls another operation, is known by name before any data moves.
//   2. Body. The body of the operation moves its data through an Exchange.
//
// Both steps have a deadline. When a rank has not arrived, or when no data has moved, for that long, the Watchdog finds
// the rank that is to blame and ends the job (watchdog.h). If no rank is to blame, the wait starts again. Slow data
// over MPI never times out: every complete piece of a message restarts the clock. NCCL shows no such progress, so an
// operation has to finish within the deadline there.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "trainer/parallel/mpi/mpi_comm.h"
#include "trainer/parallel/watchdog/backoff.h"
#include "trainer/parallel/watchdog/op_fingerprint.h"
#include "trainer/parallel/watchdog/watchdog.h"

namespace terse::trainer {

class ProcessGroup;

// Moves data between the ranks of a group. The body of an operation uses it, on the group's thread.
class Exchange {
 public:
  explicit Exchange(ProcessGroup& group);
  int64_t rank() const;
  int64_t size() const;
  // Start a message to or from `peer`. Nothing is sent when `bytes` is 0. The buffer must stay valid until wait()
  // returns. Messages between the same two ranks arrive in the order in which they were sent.
  void send(int64_t peer, const void* data, int64_t bytes);
  void receive(int64_t peer, void* data, int64_t bytes);
  void wait();  // returns when all these messages are complete
  // Polls `done` until it returns true, with the deadline. In the error message `what` stands between the name of the
  // rank and that of the operation: "has not set up NCCL in".
  void wait_until(const std::function<bool()>& done, const char* what);
  [[noreturn]] void fail(const std::string& problem);  // ends the job; the message names this rank and operation
  std::vector<std::byte>& scratch();                   // a buffer that is kept between operations

 private:
  ProcessGroup& group_;
  mpi::Requests requests_;
};

class ProcessGroup : public std::enable_shared_from_this<ProcessGroup> {
 public:
  using Body = std::function<void(Exchange&)>;

  // `members` are the world ranks of the group's ranks, in order. `watchdog` must live until the group is closed.
  static std::shared_ptr<ProcessGroup> create(mpi::Comm comm, std::string name, std::vector<int64_t> members,
                                              Watchdog& watchdog);

  int64_t rank() const { return comm_.rank(); }
  int64_t size() const { return comm_.size(); }
  const std::string& name() const { return name_; }

  // Enqueues an operation. With an empty body the ranks only exchange fingerprints. The future rethrows what the body
  // threw. Throws std::logic_error after close().
  std::shared_future<void> run(CollectiveOp op, Body body);
  // Collective. Returns a group of the ranks that pass the same `color`, ordered by `key` and then by rank.
  std::shared_ptr<ProcessGroup> split(std::string_view name, int64_t color, int64_t key);
  // Runs all enqueued operations of this group and of the groups that were split off from it, then ends their threads.
  // No other thread may call run() meanwhile.
  void close();

 private:
  friend class Exchange;
  struct Job {
    CollectiveOp op;
    Body body;
    std::promise<void> done;
  };

  ProcessGroup(mpi::Comm comm, std::string name, std::vector<int64_t> members, Watchdog& watchdog);
  void serve();                                        // the loop of thread_
  void exchange_fingerprints(const CollectiveOp& op);  // step 1 of an operation
  void check_fingerprints();
  std::vector<int64_t> in_world(std::vector<int64_t> ranks) const;  // ranks of this group -> ranks of the world
  void handle_timeout(const std::vector<int64_t>& ranks, const char* what);

  const mpi::Comm comm_;
  const std::string name_;
  const std::vector<int64_t> members_;
  Watchdog& watchdog_;
  std::vector<std::string> names_;  // of the members, for messages: "rank 3 (host b)"

  // Only thread_ uses these.
  uint64_t number_ = 0;
  std::vector<OpFingerprint> sent_, received_, previous_;  // by rank; previous_: received at the last operation
  std::vector<std::byte> scratch_;
  std::shared_ptr<RankStatus::GroupStatus> status_;

  std::mutex mutex_;  // guards queue_, closing_ and children_
  std::condition_variable changed_;
  std::deque<Job> queue_;
  bool closing_ = false;
  std::vector<std::weak_ptr<ProcessGroup>> children_;
  std::thread thread_;
};

}  // namespace terse::trainer
