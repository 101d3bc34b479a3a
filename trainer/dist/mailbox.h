// Messages from one rank to another, whenever either likes: for what is not a collective operation, such as handing out
// work to ranks of different speed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trainer/dist/mpi_comm.h"
#include "trainer/dist/waited.h"
#include "trainer/dist/watch.h"

namespace terse::trainer {

class Mailbox {
 public:
  using Letter = mpi::Message;

  // Collective over `comm`, whose ranks are the world's. `watch` must outlive the mailbox.
  Mailbox(mpi::Comm comm, Watch& watch);

  const std::string& name(int64_t rank) const { return watch_.name(rank); }  // for messages: "rank 3 (host b)"
  // Returns at once. Letters from one rank to another arrive in the order in which they were sent. Below 1 GiB.
  void send(int64_t rank, std::string bytes);
  // A letter that is here already.
  std::optional<Letter> take();

  // Who is waited for, what for, and what their silence means.
  struct Wait {
    std::vector<int64_t> ranks;
    std::string what;          // "the group of problem 17"
    bool answering_is_enough;  // a rank that lives may take its time; else it is overdue after the deadline
  };
  // Waits for a letter from anyone, at most so many seconds. When nothing has come for parallel.deadline, it asks the
  // ranks what they are doing, and ends the job naming those that give no answer, or are overdue.
  std::optional<Letter> wait(const Wait& wait, double seconds);

 private:
  void judge(const Wait& wait);

  const mpi::Comm comm_;
  Watch& watch_;
  mpi::Requests sending_;
  std::vector<std::unique_ptr<std::string>> sent_;  // what sending_ still reads
  Waited silent_;                                   // since the last letter, or since the ranks were asked
};

}  // namespace terse::trainer
