// terse report: one self-contained HTML file about one run, or about several side by side.
#include "launch/report/report.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/run/resolve.h"

namespace terse::launch {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string output;
};

constexpr const char* kMore =
    "The file needs no network: it can be mailed or archived. By default, the report of one run is written into its "
    "folder, and a\n"
    "comparison into the working folder. `terse run` writes the report of its run automatically.\n\n"
    "Examples:\n"
    "  terse report runs/quickstart\n"
    "  terse report runs/quickstart runs/no-penalty -o comparison.html";

int report(const Options& options) {
  std::vector<std::filesystem::path> folders;
  for (const std::string& run : options.runs) {
    folders.push_back(resolve_target(run));
    if (!std::filesystem::exists(folders.back() / "config.yaml"))
      throw UsageError(fmt::format("{} is not a run folder: it contains no config.yaml.", run));
  }
  std::filesystem::path output = options.output;
  if (output.empty())
    output = folders.size() == 1 ? folders.front() / "report.html" : std::filesystem::path("report.html");
  write_report(folders, output);
  print_result("{}\n", output.string());
  return kDone;
}

}  // namespace

void add_report(const Command& parent) {
  const Command command = parent.add("report", "Write report.html of one run, or a comparison of several runs");
  const auto options = std::make_shared<Options>();
  command.arguments("RUN", options->runs, "Run folders");
  command.option("-o,--output", "FILE", options->output, "File to write");
  command.finish(kNoGlobals, kMore, [options] { return report(*options); });
}

}  // namespace terse::launch
