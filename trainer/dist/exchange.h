// The ranks of one group and the thread that runs their operations.
//
// Operations run in the order in which they were handed in, one at a time, each in two steps. First all ranks tell each
// other what they have come to, so that a rank that does not come, or comes to something else, is known by name before
// data moves. Then the operation's body moves its data through an Exchange. Both steps are watched: a rank that
// does not come within the deadline, or data that does not move for as long, ends the job (Watch). Data that moves
// slowly does not.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "trainer/dist/arrival.h"
#include "trainer/dist/backoff.h"
#include "trainer/dist/mpi_comm.h"
#include "trainer/dist/watch.h"

namespace terse::trainer {

class Group;

// What the body of an operation may use.
class Exchange {
 public:
  explicit Exchange(Group& group);
  int64_t rank() const;
  int64_t size() const;
  // Messages between the same two ranks arrive in the order in which they were sent. Bytes; 0 sends nothing.
  void send(int64_t peer, const void* data, int64_t bytes);
  void receive(int64_t peer, void* data, int64_t bytes);
  void wait();  // until all of them are done
  // Until `done` says so, with the deadline; `what` for the message: "its kernel has not finished".
  void wait_until(const std::function<bool()>& done, const char* what);
  [[noreturn]] void fail(const std::string& problem);  // ends the job, naming this rank and operation
  std::vector<std::byte>& scratch();                   // kept from operation to operation

 private:
  Group& group_;
  mpi::Requests requests_;
};

class Group : public std::enable_shared_from_this<Group> {
 public:
  using Body = std::function<void(Exchange&)>;

  // `members`: the ranks in the world. `watch` must live until the group is closed.
  static std::shared_ptr<Group> create(mpi::Comm comm, std::string name, std::vector<int64_t> members, Watch& watch);

  int64_t rank() const { return comm_.rank(); }
  int64_t size() const { return comm_.size(); }
  const std::string& name() const { return name_; }

  // Hands in an operation. An empty body: the ranks only meet. Throws std::logic_error once closed.
  std::shared_future<void> run(Call call, Body body);
  std::shared_ptr<Group> split(std::string_view name, int64_t color, int64_t key);
  // Finishes what has been handed in, here and in the groups split off. Not while another thread hands something in.
  void close();

 private:
  friend class Exchange;
  struct Job {
    Call call;
    Body body;
    std::promise<void> done;
  };

  Group(mpi::Comm comm, std::string name, std::vector<int64_t> members, Watch& watch);
  void serve();
  void meet(const Call& call);
  void refuse_disagreement();
  std::vector<int64_t> in_world(std::vector<int64_t> ranks) const;
  void late(const std::vector<int64_t>& ranks, const char* what);

  const mpi::Comm comm_;
  const std::string name_;
  const std::vector<int64_t> members_;
  Watch& watch_;
  std::vector<std::string> names_;  // of the members, for messages

  // Of the thread.
  uint64_t number_ = 0;
  std::vector<Arrival> sent_, received_, before_;  // by rank; before_: what each rank came to last
  std::vector<std::byte> scratch_;
  std::shared_ptr<Situation::Line> line_;

  std::mutex mutex_;  // guards the next three
  std::condition_variable changed_;
  std::deque<Job> queue_;
  bool closing_ = false;
  std::vector<std::weak_ptr<Group>> children_;
  std::thread thread_;
};

}  // namespace terse::trainer
