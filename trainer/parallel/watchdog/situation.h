// What this rank is doing, and which ranks it waits for. The threads of the groups and the mailbox write it. The
// watchdog thread (watch.h) reads it to answer ranks that wait for this one, and to detect a stuck thread.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "trainer/parallel/watchdog/arrival.h"

namespace terse::trainer {

class Situation {
 public:
  using Clock = std::chrono::steady_clock;

  void enter(std::string_view phase);  // see World::enter
  std::string phase() const;

  // The state of the operations of one group, which run one at a time. An operation calls come(), then move() at every
  // progress, then finish().
  class Line {
   public:
    Line(Situation& all, std::string group) : all_(all), group_(std::move(group)) {}
    void come(const Arrival& call);                    // waits for the fingerprints of the others
    void wait_for(const std::vector<int64_t>& ranks);  // the ranks of the world that it waits for now
    void move();                                       // all ranks have arrived, or data has moved
    void stay();  // resets the timeout of stuck(): nothing has moved, but no rank is to blame
    void finish();

   private:
    friend class Situation;
    enum class State { kNone, kWaiting, kMoving, kDone };
    Situation& all_;
    const std::string group_;
    State state_ = State::kNone;
    Arrival call_;
    std::vector<int64_t> awaited_;
    void become(State state);
    Clock::time_point since_, alive_;  // the last progress; for alive_ also the last stay() or wake()
  };
  std::shared_ptr<Line> add(std::string group);
  // Records that the main thread waits for point-to-point messages of these ranks. An empty list ends the wait.
  void wait_for_letter(const std::vector<int64_t>& ranks);
  // Records that this process was stopped (SIGSTOP) and runs again. This resets the timeout of stuck() for all
  // operations, and report() counts the process as moving for a moment.
  void wake();

  struct Report {
    // Data has moved within the last `recent` seconds, or the process has just been resumed. A rank that waits for this
    // one should keep waiting.
    bool moving = false;
    std::vector<int64_t> awaited;  // ranks of the world that it waits for; operations list them after 1 s
    std::string text;              // phase and operations, for messages
  };
  Report report(double recent) const;
  // True when an unfinished operation has made no progress for this many seconds, without stay() or wake() either.
  bool stuck(double seconds) const;

 private:
  std::string tell(const Line& line) const;

  mutable std::mutex mutex_;  // also guards the lines
  std::string phase_ = "start";
  std::list<std::weak_ptr<Line>> lines_;
  std::vector<int64_t> writers_;  // the ranks whose messages the main thread waits for, or did last
  bool waits_for_letter_ = false;
  Clock::time_point letter_waited_;  // when that wait ended
  std::optional<Clock::time_point> woken_;
};

}  // namespace terse::trainer
