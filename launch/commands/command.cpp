// Wraps CLI11, so that the files of the commands compile without it.
#include "launch/commands/command.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "configs/yaml/read_value.h"

namespace terse::launch {
namespace {

// Adds an option that takes a number. It is parsed as strictly as a value of a configuration. CLI11 itself would accept
// hexadecimal and NaN, and would clamp a number that is out of range.
template <class T>
CLI::Option* add_number(CLI::App& app, const std::string& names, const configs::Rule& rule, const std::string& help,
                        std::function<void(T)> set) {
  const auto wrong = [rule](const std::string& text) {
    T ignored{};
    return configs::read_number(text, rule, ignored);
  };
  const auto take = [rule, set = std::move(set)](const std::string& text) {
    T value{};
    configs::read_number(text, rule, value);
    set(value);
  };
  return app.add_option_function<std::string>(names, take, help)->check(CLI::Validator(wrong, ""));
}

}  // namespace

Command Command::add(const std::string& name, const std::string& help) const {
  return {*app_->add_subcommand(name, help)->group("Commands"), *invocation_};
}

void Command::argument(const std::string& name, std::string& value, const std::string& help) const {
  app_->add_option(name, value, help)->type_name("")->required();
}

void Command::arguments(const std::string& name, std::vector<std::string>& values, const std::string& help) const {
  app_->add_option(name, values, help)->type_name("")->required();
}

void Command::optional_argument(const std::string& name, std::optional<std::string>& value,
                                const std::string& help) const {
  app_->add_option_function<std::string>(
          name, [&value](const std::string& text) { value = text; }, help)
      ->type_name("");
}

void Command::optional_arguments(const std::string& name, std::vector<std::string>& values,
                                 const std::string& help) const {
  app_->add_option(name, values, help)->type_name("");
}

void Command::option(const std::string& names, const std::string& type, std::string& value,
                     const std::string& help) const {
  app_->add_option(names, value, help)->type_name(type);
}

void Command::strings(const std::string& names, const std::string& type, std::vector<std::string>& values,
                      const std::string& help) const {
  app_->add_option(names, values, help)->type_name(type)->allow_extra_args(false);
}

void Command::required_option(const std::string& names, const std::string& type, std::string& value,
                              const std::string& help) const {
  app_->add_option(names, value, help)->type_name(type)->required();
}

void Command::choice(const std::string& names, const std::string& type, std::string& value,
                     const std::vector<std::string>& allowed, const std::string& help) const {
  app_->add_option(names, value, help)->type_name(type)->check(CLI::IsMember(allowed).description(""));
}

void Command::number(const std::string& names, int64_t& value, double min, double max, const std::string& help) const {
  add_number<int64_t>(*app_, names, configs::between(min, max), help, [&value](int64_t given) {
    value = given;
  })->type_name("N");
}

void Command::number(const std::string& names, double& value, double min, double max, const std::string& help) const {
  number(names, value, configs::between(min, max), help);
}

void Command::number(const std::string& names, double& value, const configs::Rule& rule,
                     const std::string& help) const {
  add_number<double>(*app_, names, rule, help, [&value](double given) { value = given; })->type_name("X");
}

void Command::flag(const std::string& names, bool& value, const std::string& help) const {
  app_->add_flag(names, value, help);
}

void Command::global_options(unsigned listed) const {
  GlobalOptions& globals = invocation_->globals;
  const auto group = [listed](Uses use) { return (listed & use) != 0 ? "Global options" : ""; };
  // Values are appended and not assigned, because the option may appear both before and after the command.
  const auto append = [&globals](const std::vector<std::string>& values) {
    globals.set.insert(globals.set.end(), values.begin(), values.end());
  };
  app_->add_option_function<std::vector<std::string>>("--set", append,
                                                      "Override one value of the configuration; repeatable")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false)
      ->group(group(kSet));
  const auto set_run_dir = [&globals](const std::string& dir) { globals.run_dir = dir; };
  app_->add_option_function<std::string>("--run-dir", set_run_dir, "Run folder (default: runs/<run.name>)")
      ->type_name("DIR")
      ->group(group(kRunDir));
  add_number<int64_t>(*app_, "--seed", configs::at_least(0), "Seed of every random number (= run.seed)",
                      [&globals](int64_t seed) { globals.seed = seed; })
      ->type_name("N")
      ->group(group(kSeed));
  const auto set_device = [&globals](const std::string& device) { globals.device = device; };
  app_->add_option_function<std::string>("--device", set_device, "Where to compute: auto, cpu or cuda (= run.device)")
      ->type_name("DEVICE")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}).description(""))
      ->group(group(kDevice));
}

void Command::finish(unsigned uses, const std::string& more, std::function<int()> action) const {
  global_options(uses);
  app_->footer(more);
  app_->callback([app = app_, invocation = invocation_, uses, action = std::move(action)] {
    if (!app->get_subcommands().empty()) return;  // CLI11 calls it after that of the command below
    invocation->uses = uses;
    invocation->action = action;
  });
}

void Command::finish_group() const {
  app_->require_subcommand(0, 1);
  global_options(kNoGlobals);
}

}  // namespace terse::launch
