// Where this rank stands, for the ranks that wait for it: the threads of its groups tell, its watch answers.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
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
  void wake();  // this process was stopped and runs again: no operation is stuck for that

  struct Report {
    bool moving = false;  // data has moved within the last `recent` seconds: whoever waits had better go on waiting
    std::string text;     // phase and operations
  };
  Report report(double recent) const;
  // Whether an operation has given no sign of life for so many seconds.
  bool stuck(double seconds) const;

 private:
  std::string tell(const Line& line) const;

  mutable std::mutex mutex_;  // also guards the lines
  std::string phase_ = "start";
  std::list<std::weak_ptr<Line>> lines_;
};

}  // namespace terse::trainer
