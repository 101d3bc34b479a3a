// GPU tensors over MPI, through pinned host memory. This serves ranks that share a GPU, which NCCL refuses, and builds
// without NCCL. The group's thread copies on its own stream, behind the work that the caller has queued so far.
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "trainer/parallel/collectives/backends.h"
#include "trainer/parallel/collectives/run_over_mpi.h"

namespace terse::trainer {

namespace {

// An event at the present end of the caller's current stream. The copies start after it. On the CPU it does nothing.
class StreamMark {
 public:
  explicit StreamMark(torch::Device device) : device_(device) {
    if (device_.is_cpu()) return;
    const c10::impl::VirtualGuardImpl gpu(device_.type());
    gpu.record(&event_, gpu.getStream(device_), device_.index(), c10::EventFlag::PYTORCH_DEFAULT);
  }
  ~StreamMark() {
    if (event_ != nullptr) c10::impl::VirtualGuardImpl(device_.type()).destroyEvent(event_, device_.index());
  }
  StreamMark(const StreamMark&) = delete;
  StreamMark& operator=(const StreamMark&) = delete;
  // Blocks the host until the device has reached the mark.
  void wait() const {
    if (event_ != nullptr) c10::impl::VirtualGuardImpl(device_.type()).synchronizeEvent(event_);
  }

 private:
  torch::Device device_;
  void* event_ = nullptr;
};

torch::Tensor host_like(const torch::Tensor& tensor) {
  return torch::empty({tensor.numel()}, torch::dtype(tensor.scalar_type()).pinned_memory(!tensor.is_cpu()));
}

void run_staged(Exchange& exchange, const CollectiveOp& op, const StreamMark& mark) {
  const at::NoGradGuard no_grad;
  mark.wait();
  const bool in_place = op.in.data_ptr() == op.out.data_ptr() && op.in.numel() == op.out.numel();
  CollectiveOp staged = op;
  staged.in = host_like(op.in);
  staged.out = in_place ? staged.in : host_like(op.out);
  staged.in.copy_(op.in.view({-1}));
  run_over_mpi(exchange, staged);
  op.out.view({-1}).copy_(staged.out);  // blocks until the device has the data
}

class StagedCollectives final : public GroupCollectives {
 public:
  using GroupCollectives::GroupCollectives;
  const char* backend() const override { return "staged"; }
  std::unique_ptr<Collectives> split(std::string_view name, int64_t color, int64_t key) override {
    return staged_collectives(group_->split(name, color, key), device_);
  }

 private:
  Work start(CollectiveOp op) override {
    auto mark = std::make_shared<StreamMark>(device_);
    auto body = [op, mark](Exchange& exchange) { run_staged(exchange, op, *mark); };
    return Work(std::make_shared<HostWork>(group_->run(std::move(op), std::move(body))));
  }
};

}  // namespace

std::unique_ptr<Collectives> staged_collectives(std::shared_ptr<ProcessGroup> group, torch::Device device) {
  return std::make_unique<StagedCollectives>(std::move(group), device);
}

}  // namespace terse::trainer
