// Records the operation that this rank is in and the ranks that it waits for. The threads of the groups and the
// MessageChannel write it. The watchdog thread (watchdog.h) reads it to answer ranks that wait for this one, and to
// detect a stuck thread.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "trainer/parallel/watchdog/op_fingerprint.h"

namespace terse::trainer {

class RankStatus {
 public:
  using Clock = std::chrono::steady_clock;

  void enter(std::string_view phase);  // see World::enter
  std::string phase() const;

  // The state of the operations of one group, which run one at a time. An operation calls begin(), then
  // record_progress() whenever it makes progress, then finish().
  class GroupStatus {
   public:
    GroupStatus(RankStatus& rank, std::string name) : rank_(rank), name_(std::move(name)) {}
    void begin(const OpFingerprint& op);               // waits for the fingerprints of the others
    void wait_for(const std::vector<int64_t>& ranks);  // the ranks of the world that it waits for now
    void record_progress();                            // all ranks have arrived, or data has moved
    void reset_timeout();                              // for stuck(): no data has moved, but no rank is to blame
    void finish();

   private:
    friend class RankStatus;
    enum class State { kNone, kWaiting, kRunning, kDone };
    RankStatus& rank_;
    const std::string name_;
    State state_ = State::kNone;
    OpFingerprint op_;
    std::vector<int64_t> awaited_;
    void set_state(State state);
    // The time of the last progress. alive_ also counts reset_timeout() and record_resume().
    Clock::time_point since_, alive_;
  };
  std::shared_ptr<GroupStatus> add_group(std::string name);
  // Records that the main thread waits for point-to-point messages of these ranks. An empty list ends the wait.
  void wait_for_messages(const std::vector<int64_t>& ranks);
  // Records that this process was stopped (SIGSTOP) and runs again. This resets the timeout of stuck() for all
  // operations, and report() counts it as progress for a moment.
  void record_resume();

  struct Report {
    // Data has moved within the last `recent` seconds, or the process has just been resumed. A rank that waits for this
    // one should keep waiting.
    bool making_progress = false;
    std::vector<int64_t> awaited;  // ranks of the world that it waits for; operations list them after 1 s
    std::string text;              // phase and operations, for messages
  };
  Report report(double recent) const;
  // True when an unfinished operation has made no progress for this many seconds, without reset_timeout() or
  // record_resume() either.
  bool stuck(double seconds) const;

 private:
  std::string summary_of(const GroupStatus& group) const;

  mutable std::mutex mutex_;  // also guards the groups
  std::string phase_ = "start";
  std::list<std::weak_ptr<GroupStatus>> groups_;
  std::vector<int64_t> senders_;  // the ranks whose messages the main thread waits for, or did last
  bool waits_for_messages_ = false;
  Clock::time_point messages_waited_;  // when that wait ended
  std::optional<Clock::time_point> resumed_;
};

}  // namespace terse::trainer
