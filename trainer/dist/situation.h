// Where this rank stands, for the ranks that wait for it: the threads of its groups tell, its watch answers.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "trainer/dist/arrival.h"

namespace terse::trainer {

class Situation {
 public:
  using Clock = std::chrono::steady_clock;

  void enter(std::string_view phase);
  std::string phase() const;

  // The operations of one group, one at a time.
  class Line {
   public:
    Line(Situation& all, std::string group) : all_(all), group_(std::move(group)) {}
    void come(const Arrival& call);                    // now waits for the others
    void wait_for(const std::vector<int64_t>& ranks);  // of the world
    void move();                                       // everyone is here, or data has moved
    void stay();  // still in order, though nothing has moved: whom it waits for is moving
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
    Clock::time_point since_, alive_;
  };
  std::shared_ptr<Line> add(std::string group);
  // The main thread waits for letters of these ranks; for none: it has got one, or no longer waits.
  void wait_for_letter(const std::vector<int64_t>& ranks);
  void wake();  // this process was stopped and runs again: no operation is stuck for that, and it catches up

  struct Report {
    // Data has moved within the last `recent` seconds, or it has just been woken: whoever waits had better go on
    // waiting.
    bool moving = false;
    std::vector<int64_t> awaited;  // ranks of the world that this one waits for, where it has for a while
    std::string text;              // phase and operations
  };
  Report report(double recent) const;
  // Whether an operation has given no sign of life for so many seconds.
  bool stuck(double seconds) const;

 private:
  std::string tell(const Line& line) const;

  mutable std::mutex mutex_;  // also guards the lines
  std::string phase_ = "start";
  std::list<std::weak_ptr<Line>> lines_;
  std::vector<int64_t> writers_;  // whose letters are waited for, or were
  bool waits_for_letter_ = false;
  Clock::time_point letter_waited_;  // until then, where they no longer are
  std::optional<Clock::time_point> woken_;
};

}  // namespace terse::trainer
