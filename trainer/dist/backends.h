// The backends of several ranks. Each one's operations meet and are watched on the threads of a Group, whatever carries
// their data.
#pragma once

#include <exception>
#include <memory>
#include <string>

#include "trainer/dist/call.h"
#include "trainer/dist/exchange.h"

namespace terse::trainer {

class GroupCollectives : public CheckedCollectives {
 public:
  GroupCollectives(std::shared_ptr<Group> group, torch::Device device) : group_(std::move(group)), device_(device) {}
  // Finishes what is under way. Not while an exception passes: the other ranks may never come to it. World then ends
  // the job, or the group when the exception has been caught.
  ~GroupCollectives() override {
    if (std::uncaught_exceptions() == 0) group_->close();
  }
  int64_t rank() const final { return group_->rank(); }
  int64_t size() const final { return group_->size(); }
  torch::Device device() const final { return device_; }

 protected:
  const std::shared_ptr<Group> group_;
  const torch::Device device_;
};

// CPU tensors.
std::unique_ptr<Collectives> mpi_collectives(std::shared_ptr<Group> group);
// Tensors of any device by way of (pinned) host memory. On the CPU, too, where this is only a detour, for tests.
std::unique_ptr<Collectives> staged_collectives(std::shared_ptr<Group> group, torch::Device device);

// Tensors of GPUs over NCCL, a GPU for each rank; collective. Without NCCL in this build: MachineError.
std::unique_ptr<Collectives> nccl_collectives(std::shared_ptr<Group> group, torch::Device device);
// Which GPU a rank has, and whether it has NCCL: NCCL wants a different GPU for every rank.
struct GpuIdentity {
  std::string problem = {};  // why this rank cannot use NCCL; empty when it can
  std::string uuid = {};
};
GpuIdentity gpu_identity(torch::Device device);

// What a Work of these groups waits for.
class HostWork final : public Work::State {
 public:
  explicit HostWork(std::shared_future<void> done) : done_(std::move(done)) {}
  void wait() override { done_.get(); }

 private:
  std::shared_future<void> done_;
};

}  // namespace terse::trainer
