// The watchdog of a rank. It asks ranks that do not arrive what they are doing, answers such questions for this rank,
// and ends the job with one message.
//
// Answers. Every rank has a watchdog thread that answers whatever its other threads do. So a rank that does not answer
// within kReplyTimeout is stopped (SIGSTOP), or its machine is lost. Ranks ask only when a deadline has passed. Until
// then the watchdog costs one poll for messages every kTick.
//
// Blame. The rank that is missing is not always the cause, because it may itself wait for a third rank, the straggler.
// An answer therefore lists the ranks that the answering rank waits for, and blame() excuses a rank that waits for
// another one.
//
// One message. Several ranks may detect the same hang. The lowest rank that answers permits one of them to print. The
// others print nothing and wait until the job has ended.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "trainer/parallel/mpi/mpi_comm.h"
#include "trainer/parallel/watchdog/rank_status.h"

namespace terse::trainer {

constexpr int kExitHang = 76;

class Watchdog {
 public:
  // names[r] is the name of rank r in messages: "rank 3 (host b)". `deadline` is in seconds.
  Watchdog(mpi::Comm comm, std::vector<std::string> names, double deadline);
  ~Watchdog();

  RankStatus& status() { return status_; }
  double deadline() const { return deadline_; }
  const std::string& name(int64_t rank) const { return names_[rank]; }

  struct Answer {
    bool received = false;         // false: the rank has not answered
    bool making_progress = false;  // this and the others: see RankStatus::Report
    std::vector<int64_t> awaited;
    std::string text;
  };
  // Asks these ranks what they are doing, and waits for their answers for at most kReplyTimeout.
  std::vector<Answer> query(const std::vector<int64_t>& ranks);
  // This rank has waited for `ranks` for longer than the deadline. Returns those of them that are to blame, with their
  // answers:
  //
  //   - the ranks that do not answer;
  //   - if all answer: those that neither make progress nor wait for another rank. A rank that waits is excused,
  //   because
  //     it blames the ranks that it waits for;
  //   - if the ranks only wait for each other (a deadlock): all of `ranks`.
  //
  // Empty when none is to blame.
  std::map<int64_t, Answer> blame(const std::vector<int64_t>& ranks);

  // Prints "terse: MESSAGE" on standard error and ends all ranks with `code`. Another rank that ends the job at the
  // same time may print its message instead.
  [[noreturn]] void abort(int code, const std::string& message);

 private:
  void serve();  // the loop of thread_
  void answer_requests();
  bool may_print();
  bool is_unresponsive(int64_t rank);
  bool grant_print(int64_t rank);  // whether `rank` may print; true only for the first rank that asks
  bool waits_for_straggler(const std::map<int64_t, Answer>& waiting);
  std::vector<std::string> request(char what, const std::vector<int64_t>& ranks, double timeout);

  const mpi::Comm comm_;
  const std::vector<std::string> names_;
  const double deadline_;
  RankStatus status_;

  std::mutex answering_;  // guards replies_ and texts_
  mpi::Requests replies_;
  std::vector<std::unique_ptr<std::string>> texts_;  // the buffers of replies_
  std::mutex asking_;                                // one request at a time, so that each thread gets its own replies
  std::mutex aborting_;                              // taken by the first thread that ends the job; never unlocked
  std::mutex granting_;                              // guards printer_ and unresponsive_
  int64_t printer_ = -1;                             // the rank that may print; -1: none yet
  std::set<int64_t> unresponsive_;                   // ranks that have not answered a question

  std::mutex stop_mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace terse::trainer
