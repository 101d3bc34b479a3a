// The backends for several ranks. They differ in how they move the data. All of them run their operations on the thread
// of a ProcessGroup, which exchanges the fingerprints and keeps the deadline (exchange.h).
#pragma once

#include <exception>
#include <memory>
#include <string>

#include "trainer/parallel/collectives/collective_op.h"
#include "trainer/parallel/collectives/exchange.h"

namespace terse::trainer {

class GroupCollectives : public CheckedCollectives {
 public:
  GroupCollectives(std::shared_ptr<ProcessGroup> group, torch::Device device)
      : group_(std::move(group)), device_(device) {}
  // Finishes the operations in progress, except during stack unwinding: the other ranks may never join them. World then
  // ends the job. If the exception is caught, the parent group closes this group later.
  ~GroupCollectives() override {
    if (std::uncaught_exceptions() == 0) group_->close();
  }
  int64_t rank() const final { return group_->rank(); }
  int64_t size() const final { return group_->size(); }
  torch::Device device() const final { return device_; }

 protected:
  const std::shared_ptr<ProcessGroup> group_;
  const torch::Device device_;
};

// For CPU tensors.
std::unique_ptr<Collectives> mpi_collectives(std::shared_ptr<ProcessGroup> group);
// For tensors of any device, through (pinned) host memory. Tests use it on the CPU, too, where it only adds copies.
std::unique_ptr<Collectives> staged_collectives(std::shared_ptr<ProcessGroup> group, torch::Device device);

// For GPU tensors over NCCL. Every rank needs its own GPU. Collective. Throws MachineError in a build without NCCL.
std::unique_ptr<Collectives> nccl_collectives(std::shared_ptr<ProcessGroup> group, torch::Device device);
// The GPU of a rank, and whether the rank can use NCCL. NCCL needs a different GPU for every rank.
struct GpuIdentity {
  std::string problem = {};  // why this rank cannot use NCCL; empty when it can
  std::string uuid = {};
};
GpuIdentity gpu_identity(torch::Device device);

// The Work of an operation that is complete when the group's thread has run it.
class HostWork final : public Work::State {
 public:
  explicit HostWork(std::shared_future<void> done) : done_(std::move(done)) {}
  void wait() override { done_.get(); }

 private:
  std::shared_future<void> done_;
};

}  // namespace terse::trainer
