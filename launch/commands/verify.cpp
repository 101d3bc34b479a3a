// terse verify: checks that everything in a run folder or a checkpoint is as it was written.
#include "launch/run/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "checkpoints/store.h"
#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/run/resolve.h"
#include "launch/text.h"

namespace terse::launch {
namespace {

constexpr const char* kMore =
    "Checks the hash of every checkpoint file, that metrics and traces parse, that steps never decrease, and that the "
    "summary\n"
    "matches the configuration. Prints one line per check; the exit code is 65 if a check finds a defect.\n\n"
    "Examples:\n"
    "  terse verify runs/quickstart\n"
    "  terse verify runs/quickstart/checkpoints/step-1500";

int verify(const std::string& target) {
  const std::filesystem::path dir = resolve_target(target);
  const bool checkpoint = checkpoints::is_checkpoint(dir);
  if (!checkpoint && !std::filesystem::exists(dir / "config.yaml") && !std::filesystem::exists(dir / "checkpoints"))
    throw UsageError(
        fmt::format("{} is neither a run folder (no config.yaml) nor a checkpoint (no MANIFEST.json).", target));
  const std::vector<Finding> findings = checkpoint ? verify_checkpoint(dir) : verify_run(dir);
  std::vector<std::vector<std::string>> rows;
  for (const Finding& finding : findings) {
    const char* mark = finding.kind == Finding::Kind::kDefect ? "DEFECT"
                       : finding.kind == Finding::Kind::kNote ? "note"
                                                              : "ok";
    rows.push_back({mark, finding.subject, finding.detail});
  }
  print_result("{}", table(rows, /*left=*/{0, 1, 2}));
  const auto defects = std::count_if(findings.begin(), findings.end(),
                                     [](const Finding& f) { return f.kind == Finding::Kind::kDefect; });
  if (defects == 0) return kDone;
  warn("terse: {}: {} defect{}\n", target, defects, defects == 1 ? "" : "s");
  return kCorrupt;
}

}  // namespace

void add_verify(const Command& parent) {
  const Command command = parent.add("verify", "Check every hash and invariant of a run or a checkpoint");
  const auto target = std::make_shared<std::string>();
  command.argument("RUN|CHECKPOINT", *target, "Run folder, or one folder of its checkpoints/");
  command.finish(kNoGlobals, kMore, [target] { return verify(*target); });
}

}  // namespace terse::launch
