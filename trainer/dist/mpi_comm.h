// All that calls MPI, so that nothing else includes <mpi.h>: start and end, communicators, and messages under way.
//
// Counts are bytes and may be above INT_MAX: a message travels in pieces. Any thread may call; one object is used by
// one thread at a time. An error of MPI is a LostError with MPI's own text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace terse::trainer::mpi {

// From MPI_Init_thread, with MPI_THREAD_MULTIPLE, to MPI_Finalize. Throws where MPI does not grant that.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};
// Ends all ranks; the launcher exits with `code`.
[[noreturn]] void abort_job(int code);

struct Message {
  int64_t source = 0;
  std::string bytes;
};

class Comm {
 public:
  struct Handle;

  static Comm world();  // a communicator of its own over all ranks; collective, like the next two
  Comm duplicate() const;
  Comm split(int64_t color, int64_t key) const;  // both below 2^31
  int64_t machine() const;                       // the lowest rank that shares this one's machine; collective

  int64_t rank() const { return rank_; }
  int64_t size() const { return size_; }

  // bytes of every rank into `all`, in order of rank. Waits without rest: for start-up.
  void all_gather(const void* mine, void* all, int64_t bytes) const;
  // A message with this tag that is here already, from anyone or from one rank.
  std::optional<Message> poll(int tag, int64_t source = -1) const;

  const Handle& handle() const { return *handle_; }

 private:
  explicit Comm(std::shared_ptr<Handle> handle);
  std::shared_ptr<Handle> handle_;  // frees the communicator, unless MPI has been finalised
  int64_t rank_ = 0, size_ = 1;
};

// Messages under way. Buffers are the caller's until test() says that all is done.
class Requests {
 public:
  explicit Requests(const Comm& comm);
  ~Requests();
  void send(int64_t peer, int tag, const void* data, int64_t bytes);
  void receive(int64_t peer, int tag, void* data, int64_t bytes);
  bool test();                         // moves data on; true when nothing is under way
  int64_t left() const;                // pieces under way
  std::vector<int64_t> peers() const;  // the ranks, in ascending order, that something is under way with

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terse::trainer::mpi
