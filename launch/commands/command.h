// What every command shares. A command is one file: it describes its arguments and names the function that does the
// work. Only command.cpp, cli.cpp and usage.cpp know the library behind it (CLI11), which is slow to compile.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace terse::configs {
struct Rule;
}

namespace terse::launch {

// Options that every command takes, before or after its own.
struct GlobalOptions {
  std::vector<std::string> set;  // "a.b=c", in order
  std::optional<std::string> run_dir;
  std::optional<int64_t> seed;
  std::optional<std::string> device;
};

// Which global options mean something to a command; the others are accepted and said to have no effect.
enum Uses : unsigned { kNoGlobals = 0, kSet = 1, kRunDir = 2, kSeed = 4, kDevice = 8, kAllGlobals = 15 };

// What the command line asked for.
struct Invocation {
  GlobalOptions globals;
  std::vector<std::string> command_line;
  std::function<int()> action;  // of the command that was named; returns the exit code
  unsigned uses = kAllGlobals;  // of that command
};

// Describes one command. The values that it binds must live until the action has run.
class Command {
 public:
  // `app` is the whole command line; both outlive the Command.
  Command(CLI::App& app, Invocation& invocation) : app_(&app), invocation_(&invocation) {}

  // A command below this one. `help` is one line.
  Command add(const std::string& name, const std::string& help) const;

  void argument(const std::string& name, std::string& value, const std::string& help) const;  // must be given
  void arguments(const std::string& name, std::vector<std::string>& values,
                 const std::string& help) const;  // one or more
  void optional_argument(const std::string& name, std::optional<std::string>& value, const std::string& help) const;
  void optional_arguments(const std::string& name, std::vector<std::string>& values, const std::string& help) const;

  // `names` as in "-o,--output"; `type` is shown behind it, as in "FILE".
  void option(const std::string& names, const std::string& type, std::string& value, const std::string& help) const;
  void required_option(const std::string& names, const std::string& type, std::string& value,
                       const std::string& help) const;
  void choice(const std::string& names, const std::string& type, std::string& value,
              const std::vector<std::string>& allowed, const std::string& help) const;
  // A number from `min` to `max`.
  void number(const std::string& names, int64_t& value, double min, double max, const std::string& help) const;
  void number(const std::string& names, double& value, double min, double max, const std::string& help) const;
  // A number that the rule of an option allows.
  void number(const std::string& names, double& value, const configs::Rule& rule, const std::string& help) const;
  void flag(const std::string& names, bool& value, const std::string& help) const;

  // The global options; those not in `listed` are accepted but not shown by --help.
  void global_options(unsigned listed) const;
  // Completes a command: global options, `more` (an explanation, then examples) below its help, and what it does.
  void finish(unsigned uses, const std::string& more, std::function<int()> action) const;
  // Completes a command that only holds others.
  void finish_group() const;

  const GlobalOptions& globals() const { return invocation_->globals; }
  const Invocation& invocation() const { return *invocation_; }

 private:
  CLI::App* app_;
  Invocation* invocation_;
};

void add_run(const Command& root);
void add_eval(const Command& root);
void add_generate(const Command& root);
void add_report(const Command& root);
void add_verify(const Command& root);
void add_config(const Command& root);
void add_doctor(const Command& root);
void add_plan(const Command& root);
void add_data(const Command& root);
void add_tokenizer(const Command& root);

}  // namespace terse::launch
