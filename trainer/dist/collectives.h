// Operations in which all ranks of a group take part. The group of one process (local_), CPU tensors over MPI (mpi_),
// GPU tensors over NCCL (nccl_), and GPU tensors through pinned memory and MPI (staged_) implement the same interface;
// World::group() chooses.
//
// Order. Every rank of a group calls the same operations in the same order with the same names and fitting sizes. They
// run in that order, one at a time, on the group's own thread (nccl_: on its own stream, behind the caller's work so
// far). A rank that calls another operation, skips one, or does not come within the deadline is named (rank, host,
// phase, last operation) and the job ends: see World.
//
// Tensors. Contiguous, on device(); counts are elements, never bytes. Inputs and outputs belong to the operation until
// its Work has been waited for. Any of float32, bfloat16, float64, int64, int32, uint8; sums of bfloat16 are rounded
// once, from fp32.
//
// Threads. One thread at a time calls into a group; different groups may be used by different threads at once.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace terse::trainer {

enum class Reduce { kSum, kMax, kMin };

// An operation under way. Copies share it; a default one is finished.
class Work {
 public:
  class State {
   public:
    virtual ~State() = default;
    virtual void wait() = 0;
  };
  Work() = default;
  explicit Work(std::shared_ptr<State> state) : state_(std::move(state)) {}
  // Returns when the outputs may be used: by the caller's code on the CPU, by its current stream on a GPU. Throws what
  // the operation threw.
  void wait() {
    if (state_) state_->wait();
  }

 private:
  std::shared_ptr<State> state_;
};

class Collectives {
 public:
  virtual ~Collectives() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;
  virtual torch::Device device() const = 0;
  virtual const char* backend() const = 0;  // "local", "mpi", "nccl" or "staged"

  // `values` becomes the sum (maximum, minimum) over all ranks, the same bits on every rank. The order of a sum is
  // fixed for a number of ranks.
  virtual Work all_reduce(std::string_view name, torch::Tensor values, Reduce reduce) = 0;
  // counts[r] elements of `all` come from rank r, in order of rank: `mine` has counts[rank()] elements and may be its
  // own place in `all`. Counts may be 0.
  virtual Work all_gather(std::string_view name, torch::Tensor mine, torch::Tensor all,
                          std::vector<int64_t> counts) = 0;
  // `mine` becomes this rank's counts[rank()] elements of the sum over ranks of `all`, which is laid out as above.
  virtual Work reduce_scatter(std::string_view name, torch::Tensor all, torch::Tensor mine,
                              std::vector<int64_t> counts) = 0;
  // Sends send_counts[r] elements of `send` to rank r and receives receive_counts[r] from it, both in order of rank.
  virtual Work all_to_all(std::string_view name, torch::Tensor send, std::vector<int64_t> send_counts,
                          torch::Tensor receive, std::vector<int64_t> receive_counts) = 0;
  virtual Work broadcast(std::string_view name, torch::Tensor values, int64_t root) = 0;

  // The ranks that give the same `color`, in order of `key` and then of rank; collective over this group. No rank may
  // give a negative color.
  virtual std::unique_ptr<Collectives> split(std::string_view name, int64_t color, int64_t key) = 0;
};

// Waits until every rank is here.
void barrier(Collectives& group, std::string_view name);
// Every rank's bytes, in order of rank; lengths may differ. Travels as a uint8 tensor on group.device().
std::vector<std::string> all_gather_bytes(Collectives& group, std::string_view name, std::string_view mine);

// The group of this process alone: every operation copies, and is finished when it returns.
std::unique_ptr<Collectives> local_collectives(torch::Device device);

}  // namespace terse::trainer
