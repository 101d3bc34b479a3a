// A timeout for MPI calls in which all ranks wait for each other and which Watchdog cannot cover: MPI_Init and
// MPI_Finalize, when no Watchdog runs, and the creation of communicators.
//
// Ranks cannot ask each other there. So an InitWatchdog reads the process table of this machine, and its message names
// the ranks of the job that are stopped. On a machine without a stopped rank it waits a little longer, so that a
// machine that knows the cause prints first.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace terse::trainer {

class InitWatchdog {
 public:
  // Starts the timeout; the destructor ends it. After `deadline` seconds the process prints one message about `what`
  // and exits with code 76.
  InitWatchdog(std::string what, double deadline);
  ~InitWatchdog();
  InitWatchdog(const InitWatchdog&) = delete;
  InitWatchdog& operator=(const InitWatchdog&) = delete;

 private:
  bool done_within(double seconds);
  void report_timeout();

  const std::string what_;
  const double deadline_;
  std::mutex mutex_;  // guards done_
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace terse::trainer
