// Point-to-point messages between ranks, for communication that is not collective, such as the assignment of work to
// ranks of different speed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trainer/parallel/mpi/mpi_comm.h"
#include "trainer/parallel/watchdog/waited.h"
#include "trainer/parallel/watchdog/watchdog.h"

namespace terse::trainer {

class MessageChannel {
 public:
  using Message = mpi::Message;  // a point-to-point message and the rank that sent it

  // Collective over `comm`, whose ranks are those of the world. `watchdog` must outlive the channel.
  MessageChannel(mpi::Comm comm, Watchdog& watchdog);

  const std::string& name(int64_t rank) const { return watchdog_.name(rank); }  // for messages: "rank 3 (host b)"
  // Starts to send `bytes` and returns at once. Messages from one rank to another arrive in the order in which they
  // were sent. Throws std::invalid_argument when `bytes` is empty or has 1 GiB or more.
  void send(int64_t rank, std::string bytes);
  // Returns a message that has already arrived, if there is one. Never blocks.
  std::optional<Message> take();

  // What wait() expects. It decides what happens at the deadline.
  struct Wait {
    std::vector<int64_t> ranks;
    std::string what;          // "the group of problem 17"
    bool answering_is_enough;  // true: a rank that answers its watchdog may exceed the deadline
  };
  // Waits for a message from any rank, for at most `seconds`. When none has arrived for parallel.deadline, it asks
  // wait.ranks what they are doing (Watchdog::blame). It ends the job when one of them does not answer or, unless
  // answering_is_enough, is to blame. The message names these ranks.
  std::optional<Message> wait(const Wait& wait, double seconds);

 private:
  void handle_timeout(const Wait& wait);  // called at the deadline

  const mpi::Comm comm_;
  Watchdog& watchdog_;
  mpi::Requests sending_;
  std::vector<std::unique_ptr<std::string>> sent_;  // the buffers of sending_
  Waited silent_;                                   // since the last message, or since the ranks were asked
};

}  // namespace terse::trainer
