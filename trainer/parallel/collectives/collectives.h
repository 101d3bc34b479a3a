// Collective operations of a process group. Four backends implement this interface: local_ for the group of one
// process, mpi_ for CPU tensors over MPI, nccl_ for GPU tensors over NCCL, and staged_ for GPU tensors over MPI through
// pinned host memory. World::group() chooses the backend.
//
// Order. Every rank of a group calls the same operations in the same order, with the same names and with matching
// sizes. They run in that order, one at a time, on the group's own thread (nccl_: on its own stream, behind the work
// that the caller has queued so far). When a rank calls another operation, skips one, or does not arrive within the
// deadline, the job ends with a message that names this rank: see World.
//
// Tensors. They are contiguous and on device(). Counts are elements, never bytes. The caller must not touch inputs and
// outputs until it has waited for the operation's Work. The dtypes are float32, bfloat16, float64, int64, int32 and
// uint8. A sum of bfloat16 is computed in fp32 and rounded once.
//
// Threads. One thread at a time calls into a group. Different threads may use different groups at the same time.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace terse::trainer {

enum class Reduce { kSum, kMax, kMin };

// A handle of an operation in progress. Copies refer to the same operation. A default-constructed Work is complete.
class Work {
 public:
  class State {
   public:
    virtual ~State() = default;
    virtual void wait() = 0;
  };
  Work() = default;
  explicit Work(std::shared_ptr<State> state) : state_(std::move(state)) {}
  // Returns when the outputs may be used: on the CPU by the caller's code, on a GPU by the caller's current stream.
  // Rethrows the exception of the operation.
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

  // Replaces `values` by the sum (maximum, minimum) over all ranks, with the same bits on every rank. The order of a
  // sum depends only on the number of ranks.
  virtual Work all_reduce(std::string_view name, torch::Tensor values, Reduce reduce) = 0;
  // Fills `all` with counts[r] elements from each rank r, in order of rank. `mine` has counts[rank()] elements and may
  // be this rank's own slice of `all`. Counts may be 0.
  virtual Work all_gather(std::string_view name, torch::Tensor mine, torch::Tensor all,
                          std::vector<int64_t> counts) = 0;
  // Sums `all` over the ranks and stores this rank's counts[rank()] elements of the sum in `mine`. `all` has the same
  // layout as in all_gather.
  virtual Work reduce_scatter(std::string_view name, torch::Tensor all, torch::Tensor mine,
                              std::vector<int64_t> counts) = 0;
  // Sends send_counts[r] elements of `send` to rank r and receives receive_counts[r] from it, both in order of rank.
  virtual Work all_to_all(std::string_view name, torch::Tensor send, std::vector<int64_t> send_counts,
                          torch::Tensor receive, std::vector<int64_t> receive_counts) = 0;
  // Copies `values` of rank `root` to all ranks.
  virtual Work broadcast(std::string_view name, torch::Tensor values, int64_t root) = 0;

  // Returns a new group of the ranks that pass the same `color`, ordered by `key` and then by rank. Collective over
  // this group. Throws std::invalid_argument when `color` is negative.
  virtual std::unique_ptr<Collectives> split(std::string_view name, int64_t color, int64_t key) = 0;
};

// Returns when every rank of the group has called it.
void barrier(Collectives& group, std::string_view name);
// Returns the bytes of every rank, in order of rank. Lengths may differ. The bytes travel as a uint8 tensor on
// group.device().
std::vector<std::string> all_gather_bytes(Collectives& group, std::string_view name, std::string_view mine);

// The group of this process alone. Every operation copies its input to its output, and is complete when it returns.
std::unique_ptr<Collectives> local_collectives(torch::Device device);

}  // namespace terse::trainer
