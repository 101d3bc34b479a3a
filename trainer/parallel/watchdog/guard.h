// A timeout for MPI calls in which all ranks wait for each other and which Watch cannot cover: MPI_Init and
// MPI_Finalize, when no watchdog runs, and the creation of communicators.
//
// Ranks cannot ask each other there. So a Guard reads the process table of this machine, and its message names the
// ranks of the job that are stopped. On a machine without a stopped rank it waits a little longer, so that a machine
// that knows the cause prints first.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace terse::trainer {

class Guard {
 public:
  // Starts the timeout; the destructor ends it. After `deadline` seconds the process prints one message about `what`
  // and exits with code 76.
  Guard(std::string what, double deadline);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  bool over_within(double seconds);
  void complain();

  const std::string what_;
  const double deadline_;
  std::mutex mutex_;  // guards over_
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace terse::trainer
