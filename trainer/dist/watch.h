// Asks ranks that do not come what they are doing, answers for this one, and ends the job with one message.
//
// Every rank has a thread that answers, whatever its other threads do: a rank that does not answer within kPatience is
// stopped, or its machine is lost. Nobody asks before a deadline has passed, so watching costs one look for messages
// every kTick.
//
// One message. Several ranks may find out at once. The lowest rank that answers lets one of them speak; the others keep
// silent until the job has ended.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "trainer/dist/mpi_comm.h"
#include "trainer/dist/situation.h"

namespace terse::trainer {

constexpr int kExitHang = 76;

class Watch {
 public:
  // `names[r]` is how messages call rank r: "rank 3 (host b)". `deadline` in seconds.
  Watch(mpi::Comm comm, std::vector<std::string> names, double deadline);
  ~Watch();

  Situation& situation() { return situation_; }
  double deadline() const { return deadline_; }
  const std::string& name(int64_t rank) const { return names_[rank]; }

  struct Answer {
    bool came = false, moving = false;  // see Situation::report
    std::vector<int64_t> awaited;
    std::string text;
  };
  // What these ranks are doing, within kPatience.
  std::vector<Answer> ask(const std::vector<int64_t>& ranks);
  // Of these ranks, for which this one has waited for longer than the deadline, those to blame, with their answers:
  // those that do not answer; if all do, those that neither move data nor wait for someone themselves, since whom they
  // wait for is looked after by them. Where all wait for each other, none of them is excused.
  std::map<int64_t, Answer> blame(const std::vector<int64_t>& ranks);

  // Prints "terse: MESSAGE" on standard error, on one rank, and ends all ranks with `code`.
  [[noreturn]] void end(int code, const std::string& message);

 private:
  void serve();
  void answer_requests();
  bool may_speak();
  bool is_silent(int64_t rank);
  bool grant(int64_t rank);
  bool leads_elsewhere(const std::map<int64_t, Answer>& waiting);
  std::vector<std::string> request(char what, const std::vector<int64_t>& ranks, double patience);

  const mpi::Comm comm_;
  const std::vector<std::string> names_;
  const double deadline_;
  Situation situation_;

  std::mutex answering_;  // guards replies_ and texts_
  mpi::Requests replies_;
  std::vector<std::unique_ptr<std::string>> texts_;  // what replies_ still reads
  std::mutex asking_;                                // one at a time, so that answers go to who asked
  std::mutex ending_;                                // never unlocked
  std::mutex granting_;                              // guards the next two
  int64_t speaker_ = -1;                             // the rank that may speak
  std::set<int64_t> silent_;                         // ranks that did not answer when they were asked

  std::mutex stop_mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace terse::trainer
