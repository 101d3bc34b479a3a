// One place of a process pool: the program that works there now, what it has been asked, and the bytes on their way.
// The thread of the pool is the only one that uses it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>

#include "rl/tasks/external/child_process.h"
#include "rl/tasks/external/line_buffer.h"
#include "rl/tasks/external/process_pool.h"

namespace terse::rl {

using PoolClock = std::chrono::steady_clock;

// The longest line in either direction, and the longest message of a program that is passed on, in bytes.
constexpr size_t kLongestLine = 8 << 20;
constexpr size_t kLongestMessage = 4096;

struct PoolRequest {
  std::string body;      // a JSON object without an id
  int64_t attempts = 0;  // programs that it has been sent to
  PoolClock::time_point deadline = {};
  std::promise<ProcessPool::Reply> promise = {};
};

class Worker {
 public:
  enum class Phase { kOff, kStarting, kReady };

  // Throws MachineError or ResourceError; then the phase is kOff.
  void start(const std::vector<std::string>& command, const nlohmann::json& greeting, PoolClock::time_point deadline);
  // Kills the program. Returns its unanswered requests.
  std::map<int64_t, PoolRequest> stop();

  void send(int64_t id, PoolRequest request);
  // Writes as much as the pipe takes. What cannot be written is noticed when the output ends.
  void write();
  // Reads what is there, up to a bound. Calls `take_line` for each line of the output until it returns false, and
  // `take_message` for each line of the standard error. Returns what went wrong; empty: nothing.
  std::string read(const std::function<bool(const std::string&)>& take_line,
                   const std::function<void(const std::string&)>& take_message);
  bool has_to_write() const { return written_ < to_write_.size(); }

  Phase phase = Phase::kOff;
  int64_t concurrency = 1;
  std::map<int64_t, PoolRequest> asked = {};     // by id
  PoolClock::time_point deadline = {};           // kStarting: for the greeting; kOff: when to start
  std::string last_message = {};                 // of the standard error
  ChildProcess& process() { return *process_; }  // not in kOff

 private:
  enum class Got { kBytes, kNothing, kEnd };
  static Got read_some(int descriptor, std::string& bytes);

  std::optional<ChildProcess> process_;
  LineBuffer lines_{kLongestLine}, messages_{kLongestMessage};
  std::string to_write_, buffer_;
  size_t written_ = 0;
};

}  // namespace terse::rl
