// terse run: a configuration's stages in one run folder, from the start or from where they were interrupted.
#include "rl/run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/machine/libraries.h"
#include "launch/outcome.h"
#include "launch/report/report.h"
#include "launch/resolve.h"
#include "launch/run_dir.h"
#include "launch/signals.h"
#include "launch/starts.h"
#include "trainer/device.h"

namespace terse::launch {
namespace {

constexpr const char* kMore =
    "Runs the `stages` of the configuration (pretrain, sft, rl, eval) in order. The same command continues an "
    "interrupted run exactly\n"
    "where its newest checkpoint left it; a finished one is left as it is. One process at a time may use a run "
    "folder.\n\n"
    "SIGUSR1, SIGTERM or Ctrl-C save and stop (exit code 75; a second Ctrl-C leaves at once), SIGUSR2 saves and goes "
    "on.\n"
    "After three starts that ended without a newer checkpoint and without such a signal, the fourth is refused (93), "
    "so "
    "that no scheduler\n"
    "repeats it for ever; --retry starts it all the same.\n\n"
    "Examples:\n"
    "  terse run configs/quickstart.yaml\n"
    "  terse run configs/quickstart.yaml --seed 2 --run-dir runs/quickstart-2\n"
    "  terse run configs/quickstart.yaml --set rl.penalty.kind=none --set run.name=no-penalty";

void check_device(const configs::RunConfig& config) {
  try {
    trainer::choose_device(config.run.device);
  } catch (const std::runtime_error& error) {
    throw configs::ConfigError(
        fmt::format("{}. Use --device auto or cpu here; `terse doctor` tells more.", error.what()));
  }
}

// Whether summary.json says that every stage of the configuration has been run.
bool is_complete(const std::filesystem::path& dir, const configs::RunConfig& config) {
  std::ifstream stream(dir / "summary.json");
  const auto summary = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!summary.is_object() || !summary.contains("stages") || !summary["stages"].is_array()) return false;
  std::vector<std::string> done;
  for (const nlohmann::json& stage : summary["stages"])
    if (stage.is_object()) done.push_back(stage.value("stage", ""));
  return done == config.stages;
}

nlohmann::json run_stages(const rl::RunRequest& request) {
  try {
    return rl::run(request);
  } catch (const trainer::SavedAndStopped&) {
    record_saved(request.dir);
    throw;
  } catch (const std::invalid_argument& error) {
    throw configs::ConfigError(error.what());
  }
}

// A run whose numbers are safe on disk does not fail for its report.
void report_on(const std::filesystem::path& dir) {
  const std::filesystem::path file = dir / "report.html";
  try {
    write_report({dir}, file);
    fmt::print("report: {}\n", file.string());
  } catch (const std::exception& error) {
    fmt::print(stderr, "terse: warning: no report was written: {}\nTry again with: terse report {}\n", error.what(),
               dir.string());
  }
}

int run(const std::string& path, bool retry, const Invocation& invocation) {
  trainer::Interrupts interrupts;
  auto signals = std::make_unique<SignalScope>(interrupts);
  const configs::RunConfig config = resolve_config(path, invocation.globals).config;
  check_device(config);
  const RunDir dir(config);
  const bool was_complete = is_complete(dir.path(), config);
  if (was_complete) {
    fmt::print("{}: already complete\n", dir.path().string());
  } else {
    const int64_t restarts = dir.record(config, invocation.command_line, retry);
    fmt::print("{}: {} stages {} (seed {})\n", dir.path().string(),
               dir.resumed() ? fmt::format("start {} of", restarts + 1) : "running", fmt::join(config.stages, ", "),
               config.run.seed);
  }
  std::fflush(stdout);
  const nlohmann::json summary = run_stages({config, dir.path(), commit_text(build()), &interrupts});
  signals.reset();  // nothing is left to save
  fmt::print("{}", outcome(summary));
  report_on(dir.path());
  return kDone;
}

}  // namespace

void add_run(const Command& parent) {
  const Command command = parent.add("run", "Run the stages of a configuration; the same command resumes");
  const auto path = std::make_shared<std::string>();
  const auto retry = std::make_shared<bool>(false);
  command.argument("CONFIG", *path, "Configuration file (YAML)");
  command.flag("--retry", *retry, "Start although the last starts made no progress (see exit code 93)");
  command.finish(kAllGlobals, kMore, [=] { return run(*path, *retry, command.invocation()); });
}

}  // namespace terse::launch
