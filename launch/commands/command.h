// The interface that all commands share. A command is one file: it describes its arguments and names the function that
// does the work. Only command.cpp, cli.cpp and usage.cpp include CLI11, because it is slow to compile.
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

// Options that every command accepts, before or after its own.
struct GlobalOptions {
  std::vector<std::string> set;  // "a.b=c", in order
  std::optional<std::string> run_dir;
  std::optional<int64_t> seed;
  std::optional<std::string> device;
};

// Which global options have an effect on a command. The others are accepted, and a note reports that they have no
// effect.
enum Uses : unsigned { kNoGlobals = 0, kSet = 1, kRunDir = 2, kSeed = 4, kDevice = 8, kAllGlobals = 15 };

// The result of parsing the command line.
struct Invocation {
  GlobalOptions globals;
  std::vector<std::string> command_line;
  std::function<int()> action;  // runs the named command and returns the exit code
  unsigned uses = kAllGlobals;  // the global options that this command uses
};

// Describes one command. The values that it binds must outlive the action.
class Command {
 public:
  // `app` is CLI11's parser of this command. Both arguments must outlive the Command.
  Command(CLI::App& app, Invocation& invocation) : app_(&app), invocation_(&invocation) {}

  // Adds a command below this one. `help` is one line.
  Command add(const std::string& name, const std::string& help) const;

  void argument(const std::string& name, std::string& value, const std::string& help) const;  // required
  void arguments(const std::string& name, std::vector<std::string>& values,
                 const std::string& help) const;  // one or more
  void optional_argument(const std::string& name, std::optional<std::string>& value, const std::string& help) const;
  void optional_arguments(const std::string& name, std::vector<std::string>& values, const std::string& help) const;

  // `names` is as in "-o,--output". The help shows `type` after the names, as in "FILE".
  void option(const std::string& names, const std::string& type, std::string& value, const std::string& help) const;
  // The same, for an option that may be given several times.
  void strings(const std::string& names, const std::string& type, std::vector<std::string>& values,
               const std::string& help) const;
  void required_option(const std::string& names, const std::string& type, std::string& value,
                       const std::string& help) const;
  void choice(const std::string& names, const std::string& type, std::string& value,
              const std::vector<std::string>& allowed, const std::string& help) const;
  // Accepts a number from `min` to `max`.
  void number(const std::string& names, int64_t& value, double min, double max, const std::string& help) const;
  void number(const std::string& names, double& value, double min, double max, const std::string& help) const;
  // Accepts a number that `rule` allows.
  void number(const std::string& names, double& value, const configs::Rule& rule, const std::string& help) const;
  void flag(const std::string& names, bool& value, const std::string& help) const;

  // Adds the global options. Those not in `listed` are accepted, but --help does not show them.
  void global_options(unsigned listed) const;
  // Completes a command, which may have commands below it as well. `uses` are the global options that have an effect on
  // it. --help prints `more` (an explanation, then examples) below the options. `action` does the work and returns the
  // exit code.
  void finish(unsigned uses, const std::string& more, std::function<int()> action) const;
  // Completes a command that only has commands below it.
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
void add_bench(const Command& root);
void add_bench_profile(const Command& bench);
void add_data(const Command& root);
void add_tokenizer(const Command& root);
void add_convert(const Command& root);

}  // namespace terse::launch
