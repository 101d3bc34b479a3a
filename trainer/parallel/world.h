// The ranks that mpirun or srun started together. This process is one of them. A program that was started without a
// launcher is a world of one rank: it does not initialise MPI and needs no watchdog.
//
// A World detects hangs. It ends the job with one error message and exit code 76 when a rank keeps the others waiting
// for longer than the deadline, calls another collective operation than the others, or fails in one. The message names
// this rank and its host and, where they are known, its phase and its last operation. exchange.h and watchdog.h
// describe how this works.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "trainer/parallel/collectives/collectives.h"

namespace terse::trainer {

// The position of a rank in the job. A node is one machine, or `ranks_per_node` consecutive ranks where that is set.
struct Place {
  int64_t rank = 0, ranks = 1;
  int64_t node = 0, nodes = 1;
  int64_t local_rank = 0;  // among the ranks of its node
  std::string host;
};

struct WorldOptions {
  std::string backend = "auto";  // auto | mpi | nccl | staged
  double deadline = 300;         // seconds
  int64_t ranks_per_node = 0;    // 0: all ranks that share a machine
};

// True when a launcher (mpirun, srun) started this process as a rank, even as the only one.
bool launched_by_mpi();
// The rank of this process, from the launcher's environment variables. So it is known before MPI is initialised. 0
// without a launcher.
int64_t rank_of_launch();

class MessageChannel;

class World {
 public:
  // Initialises MPI where launched_by_mpi() is true. At most one World lives at a time, and a process can initialise
  // MPI only once. Throws MachineError when MPI does not grant MPI_THREAD_MULTIPLE, or when srun started several tasks
  // without PMIx.
  static std::unique_ptr<World> start(const WorldOptions& options);
  // Waits for all ranks and finalises MPI. During stack unwinding it ends the job instead (exit code 70), but it does
  // not know the text of the exception. So catch the exception while the world still lives, and call abort().
  virtual ~World() = default;

  virtual const Place& place() const = 0;
  // The process group of all ranks. The first call is collective and fixes the device of the tensors. Later calls throw
  // std::logic_error for another device. Throws ConfigError when the configured backend cannot use `device`.
  virtual Collectives& group(torch::Device device) = 0;

  // Returns the text of every rank, in order of rank. Collective. It needs no device, so it may precede the first call
  // of group().
  virtual std::vector<std::string> gather(std::string_view name, const std::string& mine) = 0;

  // Point-to-point messages between ranks. Only the main thread uses them. A world of one rank throws std::logic_error.
  virtual MessageChannel& messages() = 0;

  // Sets the phase of this rank, such as "rollout", "backward" or "save". Messages about a hang report it.
  virtual void enter(std::string_view phase) = 0;

  // Prints "terse: MESSAGE" on standard error and ends the job on all ranks with this exit code. When several ranks
  // call it at the same time, only one of them prints. Never returns.
  [[noreturn]] virtual void abort(int code, const std::string& message) = 0;
};

// Returns the ranks of `world` that pass the same `color` as a World, in the order of `world`. Ranks and nodes are
// numbered anew. local_rank stays the same, so that each rank keeps its own GPU. Collective over `world`, which must
// outlive the result.
std::unique_ptr<World> split(World& world, torch::Device device, std::string_view name, int64_t color);

}  // namespace terse::trainer
