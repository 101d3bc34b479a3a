// The ranks that mpirun or srun started together, of which this process is one. A program started by itself is a world
// of one rank: MPI is then neither initialised nor asked, and nothing listens.
//
// A World watches over its ranks. Each one tells which phase it is in and which operation it came to last; when one
// keeps the others waiting for longer than the deadline, calls another operation than they, or fails, the job ends with
// one message that names the rank, its host, its phase and its last operation. Never a silent hang: exit code 76.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "trainer/dist/collectives.h"

namespace terse::trainer {

// Where a rank stands. A node is a machine, or `ranks_per_node` consecutive ranks when that was asked for.
struct Place {
  int64_t rank = 0, ranks = 1;
  int64_t node = 0, nodes = 1;
  int64_t local_rank = 0;  // among the ranks of its node
  std::string host;
};

struct WorldOptions {
  std::string backend = "auto";  // auto | mpi | nccl | staged
  double deadline = 300;         // seconds
  int64_t ranks_per_node = 0;    // 0: those that share a machine
};

// Whether this process was started as one of several ranks (or as the only one) by a launcher.
bool launched_by_mpi();
// Which of its processes this one is, as the launcher tells before MPI is initialised; 0 where nobody launched it.
int64_t rank_of_launch();

class Mailbox;

class World {
 public:
  // Initialises MPI where launched_by_mpi() says so. At most one World lives at a time, and MPI starts once in a
  // process. Throws MachineError saying what is missing when the backend cannot be had.
  static std::unique_ptr<World> start(const WorldOptions& options);
  // Finalises MPI; a world of several ranks waits for all of them. While an exception passes it ends the job instead,
  // without knowing its text: catch it where the world still lives, and call abort().
  virtual ~World() = default;

  virtual const Place& place() const = 0;
  // All ranks. Tensors live on `device` from the first call on, which is a collective one.
  virtual Collectives& group(torch::Device device) = 0;

  // Every rank's text, in order of rank; collective. Needs no device, so it may come before the first group().
  virtual std::vector<std::string> gather(std::string_view name, const std::string& mine) = 0;

  // Letters between single ranks; of the main thread. A world of one rank has none: std::logic_error.
  virtual Mailbox& mailbox() = 0;

  // What this rank is doing, for messages and for whoever asks why nothing moves: "rollout", "backward", "save".
  virtual void enter(std::string_view phase) = 0;

  // Ends the job at once on all ranks with this exit code, after "terse: MESSAGE" has been printed once on standard
  // error, whoever else ends it at the same time. Never returns.
  [[noreturn]] virtual void abort(int code, const std::string& message) = 0;
};

// The ranks of `world` that give the same `color` as a world of their own, in the order of `world`; collective over it.
// They keep their nodes and their places on them, so that each still has its own GPU. `world` must outlive it.
std::unique_ptr<World> split(World& world, torch::Device device, std::string_view name, int64_t color);

}  // namespace terse::trainer
