// Everything in terse that calls MPI: initialisation, communicators and non-blocking messages. No other file includes
// <mpi.h>.
//
// Counts are bytes. Messages of Requests may exceed INT_MAX bytes, because they travel in pieces. Several threads may
// use one Comm at the same time, but only one thread at a time uses a Requests. An error of MPI throws LostError with
// MPI's own text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace terse::trainer::mpi {

// Calls MPI_Init_thread with MPI_THREAD_MULTIPLE, and MPI_Finalize at its end. Throws MachineError when MPI does not
// grant that level.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};
// Ends all ranks with MPI_Abort. The launcher exits with `code`.
[[noreturn]] void abort_job(int code);

struct Message {
  int64_t source = 0;
  std::string bytes;
};

class Comm {
 public:
  struct Handle;

  static Comm world();  // a duplicate of MPI_COMM_WORLD; collective, like the next two
  Comm duplicate() const;
  Comm split(int64_t color, int64_t key) const;  // both below 2^31
  int64_t machine() const;                       // the lowest rank on the same machine; collective

  int64_t rank() const { return rank_; }
  int64_t size() const { return size_; }

  // Gathers `bytes` bytes of every rank into `all`, in order of rank. It blocks in MPI without a deadline and uses a
  // whole core meanwhile, so use it at start-up only.
  void all_gather(const void* mine, void* all, int64_t bytes) const;
  // Receives a message with this tag from rank `source` (-1: from any rank) if one has already arrived. Never blocks.
  std::optional<Message> poll(int tag, int64_t source = -1) const;

  const Handle& handle() const { return *handle_; }

 private:
  explicit Comm(std::shared_ptr<Handle> handle);
  std::shared_ptr<Handle> handle_;  // frees the communicator, unless MPI has been finalised
  int64_t rank_ = 0, size_ = 1;
};

// Non-blocking messages. The caller keeps their buffers valid and unchanged until test() returns true.
class Requests {
 public:
  explicit Requests(const Comm& comm);
  ~Requests();
  void send(int64_t peer, int tag, const void* data, int64_t bytes);
  void receive(int64_t peer, int tag, void* data, int64_t bytes);
  bool test();                         // lets MPI make progress; true when all messages are complete
  int64_t left() const;                // pieces that are not complete
  std::vector<int64_t> peers() const;  // the ranks of these pieces, in ascending order

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terse::trainer::mpi
