// Ends this process when an operation of MPI's own does not come back in which ranks wait for each other: its start and
// end, where there is no Watch to ask them what they are doing, and the making of communicators.
//
// Nobody can be asked, so what is known of the others is what this machine's table of processes tells: a rank of the
// job that is stopped is named. Ranks of machines where none is stopped wait a little longer, so that those who know
// speak.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace terse::trainer {

class Guard {
 public:
  // `what` is to be over within `deadline` seconds, by the end of this object; else one message and exit code 76.
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
