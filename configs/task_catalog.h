// Lists the options that the tasks of the program declare for the section `task`. The layer that knows the tasks makes
// the catalog (rl/tasks/task.h). configs/ lists, reads, checks, prints and hashes these options like its own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "configs/check.h"
#include "configs/fields.h"

namespace terse::configs {

struct TaskOption {
  std::string name;           // task.<name>
  OptionValue default_value;  // decides the type
  std::string help;           // as Field::help
  Rule rule = {};
};

struct TaskCatalog {
  std::vector<std::string> names;   // the choices of task.name; empty: any
  std::vector<std::string> forms;   // the keys of task.forms; empty: any
  std::vector<TaskOption> options;  // in the order of the printed config
  // Appends the violations of the rules that tie several options of the chosen task together; empty: no such rules.
  std::function<void(const Task&, std::vector<Violation>&)> check = {};
};

// The options of the same catalog with their defaults.
TaskOptions default_options(TaskOptions options);

}  // namespace terse::configs
