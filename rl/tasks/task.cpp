// The table of tasks: name to factory. It is explicit, because the linker drops self-registering objects of a static
// library that nothing refers to.
#include "rl/tasks/task.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "rl/tasks/chain7.h"

namespace terse::rl {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Task> (*make)(const configs::Task&, int64_t seed);
};
constexpr Entry kTasks[] = {{"chain7", make_chain7}};

}  // namespace

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kTasks) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Task> make_task(const configs::Task& config, int64_t seed) {
  for (const Entry& entry : kTasks) {
    if (entry.name == config.name) return entry.make(config, seed);
  }
  throw std::invalid_argument(fmt::format("unknown task '{}'; known: {}", config.name, fmt::join(task_names(), ", ")));
}

}  // namespace terse::rl
