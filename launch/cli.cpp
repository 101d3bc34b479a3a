// Builds the tree of commands. Every exception of a command ends in run_program(), where it becomes an exit code and a
// message.
#include "launch/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/machine/libraries.h"
#include "launch/output.h"
#include "launch/usage.h"

namespace terse::launch {
namespace {

std::string version_text() {
  const Build program = build();
  std::string text = fmt::format("terse {} (commit {}, {}, {})", program.version, commit_text(program),
                                 program.compiler, program.type);
  for (const Library& library : linked_libraries()) text += fmt::format("\n  {:<14} {}", library.name, library.version);
  return text;
}

std::string root_footer() {
  return "Start here:\n"
         "  terse doctor                         check this machine and show how to fix problems\n"
         "  terse run configs/quickstart.yaml    train a small model to reason in fewer tokens (minutes on a CPU)\n"
         "  terse run --help                     show the options and examples of a command\n\n" +
         exit_code_help();
}

std::unique_ptr<CLI::App> make_app(Invocation& invocation) {
  auto app = std::make_unique<CLI::App>("terse trains language models that think less and solve more.", "terse");
  auto formatter = std::make_shared<CLI::Formatter>();
  formatter->label("Positionals", "Arguments");
  formatter->label("OPTIONS", "options");
  formatter->label("SUBCOMMAND", "COMMAND");
  formatter->label("REQUIRED", "");
  formatter->column_width(34);
  app->formatter(formatter);
  app->set_help_flag("-h,--help", "Show this help and exit");
  app->set_version_flag("--version", version_text, "Show the version, the commit and the libraries, and exit");
  const Command root(*app, invocation);
  root.global_options(kAllGlobals);
  add_run(root);
  add_eval(root);
  add_generate(root);
  add_report(root);
  add_verify(root);
  add_plan(root);
  add_bench(root);
  add_config(root);
  add_data(root);
  add_tokenizer(root);
  add_convert(root);
  add_doctor(root);
  app->require_subcommand(0, 1);
  app->footer(root_footer());
  return app;
}

// CLI11 takes the arguments in reverse order. `terse help run` means `terse run --help`.
std::vector<std::string> reversed_arguments(const std::vector<std::string>& words) {
  std::vector<std::string> arguments(words.rbegin(), words.rend());
  if (!arguments.empty() && arguments.back() == "help") {
    arguments.pop_back();
    arguments.insert(arguments.begin(), "--help");
  }
  return arguments;
}

void note_unused(const Invocation& invocation, const std::string& command) {
  const GlobalOptions& globals = invocation.globals;
  const auto note = [&](bool given, Uses use, const char* option) {
    if (given && (invocation.uses & use) == 0) warn("note: {} has no effect on `{}`\n", option, command);
  };
  note(!globals.set.empty(), kSet, "--set");
  note(globals.run_dir.has_value(), kRunDir, "--run-dir");
  note(globals.seed.has_value(), kSeed, "--seed");
  note(globals.device.has_value(), kDevice, "--device");
}

// Parses the command line. Returns the exit code when no command is left to run.
std::optional<int> parse(CLI::App& app, const Invocation& invocation) {
  const std::vector<std::string>& words = invocation.command_line;
  try {
    app.parse(reversed_arguments({words.begin() + 1, words.end()}));
  } catch (const CLI::CallForHelp&) {
    print_result("{}", help_text(app));
    return kDone;
  } catch (const CLI::CallForVersion& version) {
    print_result("{}\n", version.what());
    return kDone;
  } catch (const CLI::ParseError& error) {
    throw UsageError(explain(app, error));
  }
  if (!invocation.action) {  // `terse`, or `terse data`, alone
    warn("{}", help_text(app));
    return kUsage;
  }
  note_unused(invocation, full_name(named_command(app)));
  return std::nullopt;
}

}  // namespace

int run_program(int argc, const char* const* argv) noexcept {
  try {
    Invocation invocation;
    invocation.command_line.assign(argv, argv + argc);
    const std::unique_ptr<CLI::App> app = make_app(invocation);
    const std::optional<int> done = parse(*app, invocation);
    const int code = done ? *done : invocation.action();
    flush_results();
    return code;
  } catch (...) {
    return tell_failure(std::current_exception());
  }
}

}  // namespace terse::launch
