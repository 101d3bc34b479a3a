// Chooses the world from the launcher's environment variables: several ranks (mpi_world.h), or one process alone.
#include "trainer/parallel/world.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>

#include "base/errors.h"
#include "trainer/parallel/mpi/mpi_world.h"

namespace terse::trainer {

namespace {

// The world of a process that was started without a launcher.
class LoneWorld final : public World {
 public:
  LoneWorld() {
    char host[256] = {};
    if (gethostname(host, sizeof host - 1) == 0) place_.host = host;
  }
  const Place& place() const override { return place_; }
  Collectives& group(torch::Device device) override {
    if (!group_) group_ = local_collectives(device);
    if (group_->device() != device)
      throw std::logic_error(fmt::format("the world's tensors are on {}, but a group on {} was requested",
                                         group_->device().str(), device.str()));
    return *group_;
  }
  std::vector<std::string> gather(std::string_view, const std::string& mine) override { return {mine}; }
  MessageChannel& messages() override {
    throw std::logic_error("this process runs alone, so there is no other rank to send messages to");
  }
  void enter(std::string_view) override {}  // nobody waits for this rank
  [[noreturn]] void abort(int code, const std::string& message) override {
    std::fputs(fmt::format("terse: {}\n", message).c_str(), stderr);
    std::fflush(stderr);
    _exit(code);
  }

 private:
  Place place_;
  std::unique_ptr<Collectives> group_;
};

bool set(const char* name) {
  return std::getenv(name) != nullptr;
}

// srun without PMIx starts every task as if it were alone: each would train by itself and write to the same files.
void refuse_lost_tasks() {
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  if (tasks != nullptr && std::atoi(tasks) > 1 && set("SLURM_PROCID"))
    throw MachineError(fmt::format(
        "srun started this process as one of {} tasks, but the tasks cannot connect to each other: use srun --mpi=pmix",
        tasks));
}

}  // namespace

bool launched_by_mpi() {
  return set("OMPI_COMM_WORLD_SIZE") || set("PMIX_RANK") || set("PMI_RANK") || set("PMI_SIZE");
}

int64_t rank_of_launch() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (set(name)) return std::atoll(std::getenv(name));
  return 0;
}

std::unique_ptr<World> World::start(const WorldOptions& options) {
  if (launched_by_mpi()) return mpi_world(options);
  refuse_lost_tasks();
  return std::make_unique<LoneWorld>();
}

}  // namespace terse::trainer
