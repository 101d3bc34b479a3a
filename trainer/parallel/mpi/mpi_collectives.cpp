// CPU tensors over MPI. run_over_mpi() moves them on the group's thread.
#include "trainer/parallel/collectives/backends.h"
#include "trainer/parallel/collectives/run_over_mpi.h"

namespace terse::trainer {

namespace {

class MpiCollectives final : public GroupCollectives {
 public:
  using GroupCollectives::GroupCollectives;
  const char* backend() const override { return "mpi"; }
  std::unique_ptr<Collectives> split(std::string_view name, int64_t color, int64_t key) override {
    return mpi_collectives(group_->split(name, color, key));
  }

 private:
  Work start(CollectiveOp op) override {
    auto body = [op](Exchange& exchange) { run_over_mpi(exchange, op); };
    return Work(std::make_shared<HostWork>(group_->run(std::move(op), std::move(body))));
  }
};

}  // namespace

std::unique_ptr<Collectives> mpi_collectives(std::shared_ptr<ProcessGroup> group) {
  return std::make_unique<MpiCollectives>(std::move(group), torch::kCPU);
}

}  // namespace terse::trainer
