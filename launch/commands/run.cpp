// terse run: runs the stages of a configuration in one run folder, from the start or from where they were interrupted.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/machine/libraries.h"
#include "launch/output.h"
#include "launch/report/report.h"
#include "launch/run/agreement.h"
#include "launch/run/outcome.h"
#include "launch/run/resolve.h"
#include "launch/run/run_dir.h"
#include "launch/run/stages/run_stages.h"
#include "launch/run/starts.h"
#include "launch/signals.h"
#include "rl/async/split_world.h"
#include "trainer/device.h"

namespace terse::launch {
namespace {

constexpr const char* kMore =
    "Runs the `stages` of the configuration (pretrain, sft, rl, eval) in order. The same command continues an "
    "interrupted run exactly\n"
    "from its newest checkpoint, and does not change a finished run. Only one process at a time may use a run "
    "folder.\n\n"
    "SIGUSR1, SIGTERM, Ctrl-C or a closed terminal (SIGHUP, unless nohup ignores it) save and stop the run, also "
    "during an evaluation\n"
    "(exit code 75). A second Ctrl-C stops it without saving. On SIGUSR2 the run saves and continues.\n"
    "After three starts that ended without a newer checkpoint and without such a signal, the fourth start is refused "
    "(exit code 93),\n"
    "so that no scheduler repeats it forever; --retry starts the run anyway.\n\n"
    "Examples:\n"
    "  terse run configs/quickstart.yaml\n"
    "  terse run configs/quickstart.yaml --seed 2 --run-dir runs/quickstart-2\n"
    "  terse run configs/quickstart.yaml --set rl.penalty.kind=none --set run.name=no-penalty";

// Writes the report. A failure here does not fail a run whose numbers are safe on disk.
void report_on(const std::filesystem::path& dir) {
  const std::filesystem::path file = dir / "report.html";
  try {
    write_report({dir}, file);
    say("report: {}\n", file.string());
  } catch (const std::exception& error) {
    warn("terse: warning: no report was written: {}\nTry again with: terse report {}\n", error.what(), dir.string());
  }
}

void announce(const RunDir& dir, const configs::RunConfig& config, int64_t ranks, int64_t restarts) {
  say("{}: {} stages {} (seed {}{})\n", dir.path().string(),
      dir.resumed() ? fmt::format("start {} of", restarts + 1) : "running", fmt::join(config.stages, ", "),
      config.run.seed, ranks > 1 ? fmt::format(", {} ranks", ranks) : "");
}

void conclude(const std::filesystem::path& dir, const nlohmann::json& summary) {
  say("{}", outcome(summary));
  report_on(dir);
}

// Prints the results of a finished run, on rank 0 alone. The caller checks for a finished run before MPI starts.
// Otherwise a rank that crashes in MPI_Finalize after everything is saved would crash again each time the job is
// requeued.
int tell_again(const configs::RunConfig& config, const nlohmann::json& summary) {
  if (trainer::rank_of_launch() > 0) return kDone;
  const RunDir dir(config);
  say("{}: already complete\n", dir.path().string());
  conclude(dir.path(), summary);
  return kDone;
}

int run_as_rank(trainer::World& world, ResolvedRun resolved, bool retry, const Invocation& invocation) {
  const configs::RunConfig& config = resolved.config;
  trainer::Interrupts interrupts;
  const SignalScope signals(interrupts);
  const trainer::Place& place = world.place();
  require_same_start(world, config);
  rl::check_ranks(config, place.ranks, place.nodes);
  const torch::Device device = trainer::choose_device(config.run.device, place.local_rank);
  std::optional<RunDir> dir;  // rank 0 opens it and prints the messages
  if (place.rank == 0) {
    dir.emplace(config);
    announce(*dir, config, place.ranks, dir->record(config, invocation.command_line, retry));
  }
  if (place.ranks > 1) trainer::barrier(world.group(device), "run folder is open");
  nlohmann::json summary;
  try {
    summary =
        run_stages({config, run_dir_of(config), commit_text(build()), &world, &interrupts, std::move(resolved.task)});
  } catch (const trainer::SavedAndStopped&) {
    if (place.rank == 0) record_saved(run_dir_of(config));
    throw;
  } catch (const std::invalid_argument& error) {
    throw ConfigError(error.what());
  }
  // Signals are still caught here: everything is saved, and a signal must not end a finished run.
  if (dir) conclude(dir->path(), summary);
  return kDone;
}

trainer::WorldOptions world_options(const configs::Parallel& config) {
  return {config.backend, config.deadline, config.ranks_per_node};
}

// Runs `work` as one of several ranks. A failure on one rank ends all ranks with its exit code and one message.
int run_together(trainer::World& world, const std::function<int()>& work) {
  try {
    return work();
  } catch (const trainer::SavedAndStopped&) {
    // All ranks have stopped here. Rank 0 prints the message before MPI_Finalize, because mpirun kills the other ranks
    // once one of them has exited with this code.
    if (world.place().rank == 0) tell_failure(std::current_exception());
    return kSavedPleaseRequeue;
  } catch (...) {
    const Failure failure = describe_failure(std::current_exception());
    world.abort(failure.code, failure.message);
    throw;  // never reached
  }
}

int run(const std::string& path, bool retry, const Invocation& invocation) {
  const bool launched = trainer::launched_by_mpi();
  ResolvedRun resolved;
  std::exception_ptr mistake;
  try {
    resolved = resolve_run(path, invocation.globals);
  } catch (...) {
    if (!launched) throw;
    mistake = std::current_exception();  // every rank has this mistake; run_together() prints one message
  }
  const auto finished = mistake ? std::nullopt : finished_summary(resolved.config);
  if (finished) return tell_again(resolved.config, *finished);
  const auto world = trainer::World::start(world_options(resolved.config.parallel));
  if (!launched) return run_as_rank(*world, std::move(resolved), retry, invocation);
  return run_together(*world, [&] {
    if (mistake) std::rethrow_exception(mistake);
    return run_as_rank(*world, std::move(resolved), retry, invocation);
  });
}

}  // namespace

void add_run(const Command& parent) {
  const Command command =
      parent.add("run", "Run the stages of a configuration; the same command resumes an interrupted run");
  const auto path = std::make_shared<std::string>();
  const auto retry = std::make_shared<bool>(false);
  command.argument("CONFIG", *path, "Configuration file (YAML)");
  command.flag("--retry", *retry, "Start even if the last starts made no progress (see exit code 93)");
  command.finish(kAllGlobals, kMore, [=] { return run(*path, *retry, command.invocation()); });
}

}  // namespace terse::launch
