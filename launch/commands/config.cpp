// terse config: prints a configuration and where its values come from, checks one, or prints the schema.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <memory>

#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/run/resolve.h"
#include "launch/run/run_dir.h"
#include "rl/tasks/task.h"

namespace terse::launch {
namespace {

void add_print(const Command& parent) {
  const Command command = parent.add("print", "Print every value, with the origin of each value that is not a default");
  const auto path = std::make_shared<std::string>();
  const auto plain = std::make_shared<bool>(false);
  command.argument("CONFIG", *path, "Configuration file (YAML)");
  command.flag("--plain", *plain, "Leave out the origins");
  command.finish(kAllGlobals,
                 "The output is itself a complete configuration.\n\n"
                 "Examples:\n"
                 "  terse config print configs/quickstart.yaml\n"
                 "  terse config print configs/quickstart.yaml --set rl.steps=500 --plain >mine.yaml",
                 [=] {
                   const configs::LoadedConfig loaded = resolve_config(*path, command.globals());
                   print_result("{}", configs::to_yaml(loaded.config, *plain ? nullptr : &loaded.origin));
                   return kDone;
                 });
}

void add_check(const Command& parent) {
  const Command command =
      parent.add("check", "Check a configuration; list every mistake and exit with 78 if there is one");
  const auto path = std::make_shared<std::string>();
  command.argument("CONFIG", *path, "Configuration file (YAML)");
  command.finish(kAllGlobals,
                 "Examples:\n"
                 "  terse config check configs/quickstart.yaml\n"
                 "  terse config check configs/quickstart.yaml --set model.hidden_size=96",
                 [=] {
                   const configs::RunConfig config = resolve_config(*path, command.globals()).config;
                   print_result("ok: {} (stages {}, run folder {})\n", *path, fmt::join(config.stages, ", "),
                                run_dir_of(config).string());
                   return kDone;
                 });
}

void add_schema(const Command& parent) {
  const Command command = parent.add("schema", "Print the JSON schema of a configuration");
  const auto markdown = std::make_shared<bool>(false);
  command.flag("--markdown", *markdown, "Print the reference in Markdown instead (docs/config.md)");
  command.finish(kNoGlobals,
                 "Editors with support for YAML schemas use it to complete and check configurations.\n\n"
                 "Examples:\n"
                 "  terse config schema >terse.schema.json\n"
                 "  terse config schema --markdown | less",
                 [=] {
                   print_result("{}", *markdown ? configs::markdown_reference(rl::default_config())
                                                : configs::json_schema(rl::default_config()));
                   return kDone;
                 });
}

}  // namespace

void add_config(const Command& parent) {
  const Command command = parent.add("config", "Print or check a configuration; print its schema");
  add_print(command);
  add_check(command);
  add_schema(command);
  command.finish_group();
}

}  // namespace terse::launch
