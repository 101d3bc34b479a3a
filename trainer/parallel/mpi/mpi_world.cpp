// The order of the shutdown matters: the ranks meet in a last operation (kEnd), then the threads end, then MPI_Finalize
// runs. An InitWatchdog keeps the deadline in MPI_Init and MPI_Finalize, where no Watchdog runs.
#include "trainer/parallel/mpi/mpi_world.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>

#include "base/errors.h"
#include "trainer/parallel/collectives/backends.h"
#include "trainer/parallel/mpi/message_channel.h"
#include "trainer/parallel/watchdog/init_watchdog.h"

namespace terse::trainer {

namespace {

constexpr int kExitBug = 70;

struct Member {
  char host[64] = {};
  int64_t first_of_machine = 0;
};

// The Member of every rank, in order of rank. Collective.
std::vector<Member> gather_members(const mpi::Comm& comm) {
  Member mine;
  if (gethostname(mine.host, sizeof mine.host - 1) != 0) std::strcpy(mine.host, "unknown");
  mine.first_of_machine = comm.machine();
  std::vector<Member> members(comm.size());
  comm.all_gather(&mine, members.data(), sizeof mine);
  return members;
}

Place place_of(int64_t rank, const std::vector<Member>& members, int64_t ranks_per_node) {
  Place place{.rank = rank, .ranks = static_cast<int64_t>(members.size()), .host = members[rank].host};
  if (ranks_per_node > 0) {
    place.node = rank / ranks_per_node;
    place.nodes = (place.ranks + ranks_per_node - 1) / ranks_per_node;
    place.local_rank = rank % ranks_per_node;
    return place;
  }
  const int64_t machine = members[rank].first_of_machine;
  std::set<int64_t> machines;
  for (int64_t r = 0; r < place.ranks; ++r) {
    machines.insert(members[r].first_of_machine);
    if (r < rank && members[r].first_of_machine == machine) ++place.local_rank;
  }
  place.node = std::distance(machines.begin(), machines.find(machine));
  place.nodes = static_cast<int64_t>(machines.size());
  return place;
}

std::vector<std::string> names_of(const std::vector<Member>& members) {
  std::vector<std::string> names;
  for (size_t r = 0; r < members.size(); ++r) names.push_back(fmt::format("rank {} (host {})", r, members[r].host));
  return names;
}

std::vector<int64_t> all_ranks(int64_t size) {
  std::vector<int64_t> ranks(size);
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

class MpiWorld final : public World {
 public:
  explicit MpiWorld(const WorldOptions& options)
      : backend_(options.backend),
        init_watchdog_(std::in_place, "MPI start-up (MPI_Init)", options.deadline),
        comm_(mpi::Comm::world()),
        members_(gather_members(comm_)),
        place_(place_of(comm_.rank(), members_, options.ranks_per_node)),
        watchdog_(comm_.duplicate(), names_of(members_), options.deadline),
        messages_(comm_.duplicate(), watchdog_),
        all_(ProcessGroup::create(comm_, "world", all_ranks(comm_.size()), watchdog_)),
        host_(mpi_collectives(all_)) {
    init_watchdog_.reset();
  }

  ~MpiWorld() override {
    if (std::uncaught_exceptions() > 0)
      watchdog_.abort(kExitBug, fmt::format("{} failed with an exception, {}", watchdog_.name(place_.rank),
                                            watchdog_.status().report(0).text));
    try {
      all_->run({.kind = Kind::kEnd, .name = "world"}, nullptr).get();
    } catch (const std::exception& error) {
      watchdog_.abort(kExitHang, fmt::format("{} could not reach the other ranks at the end of the run: {}",
                                             watchdog_.name(place_.rank), error.what()));
    }
    all_->close();
    init_watchdog_.emplace("MPI shutdown (MPI_Finalize)", watchdog_.deadline());
  }

  const Place& place() const override { return place_; }

  Collectives& group(torch::Device device) override {
    if (!collectives_) collectives_ = choose(device);
    if (collectives_->device() != device)
      throw std::logic_error(fmt::format("the world's tensors are on {}, but a group on {} was requested",
                                         collectives_->device().str(), device.str()));
    return *collectives_;
  }

  std::vector<std::string> gather(std::string_view name, const std::string& mine) override {
    return all_gather_bytes(*host_, name, mine);
  }

  MessageChannel& messages() override { return messages_; }

  void enter(std::string_view phase) override { watchdog_.status().enter(phase); }

  [[noreturn]] void abort(int code, const std::string& message) override { watchdog_.abort(code, message); }

 private:
  std::unique_ptr<Collectives> choose(torch::Device device) {
    if (backend_ == "staged") return staged_collectives(all_, device);
    if (device.is_cpu() && backend_ != "nccl") return mpi_collectives(all_);
    const std::string problem = device.is_cuda() ? why_not_nccl(device) : "tensors are on the CPU";
    if (problem.empty() && backend_ != "mpi") return nccl_collectives(all_, device);
    if (device.is_cuda() && backend_ == "auto") return staged_collectives(all_, device);
    throw ConfigError(backend_ == "mpi" ? "parallel.backend is mpi, but tensors are on " + device.str()
                                        : "parallel.backend is nccl, but " + problem);
  }

  // Why the ranks cannot use NCCL, with the same result on every rank; empty when all of them can. Collective.
  std::string why_not_nccl(torch::Device device) {
    const GpuIdentity mine = gpu_identity(device);
    const auto problems = all_gather_bytes(*host_, "NCCL problem", mine.problem);
    const auto uuids = all_gather_bytes(*host_, "GPU", mine.uuid);
    for (size_t r = 0; r < uuids.size(); ++r) {
      if (!problems[r].empty()) return fmt::format("{}: {}", watchdog_.name(r), problems[r]);
      const auto same = std::find(uuids.begin(), uuids.begin() + r, uuids[r]) - uuids.begin();
      if (same < static_cast<int64_t>(r))
        return fmt::format("{} and {} share a GPU", watchdog_.name(same), watchdog_.name(r));
    }
    return "";
  }

  const std::string backend_;
  std::optional<InitWatchdog> init_watchdog_;
  const mpi::Session session_;  // finalises MPI after everything below has ended
  const mpi::Comm comm_;
  const std::vector<Member> members_;
  const Place place_;
  Watchdog watchdog_;
  MessageChannel messages_;
  std::shared_ptr<ProcessGroup> all_;
  std::unique_ptr<Collectives> host_;         // for CPU tensors, such as those of gather()
  std::unique_ptr<Collectives> collectives_;  // for tensors on the device of group(); runs on the same ProcessGroup
};

}  // namespace

std::unique_ptr<World> mpi_world(const WorldOptions& options) {
  return std::make_unique<MpiWorld>(options);
}

}  // namespace terse::trainer
