// The table of tasks: name to factory. It is explicit, because the linker drops self-registering objects of a static
// library that nothing refers to.
#include "rl/tasks/task.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "rl/tasks/chain7.h"
#include "rl/tasks/gsm8k.h"

namespace terse::rl {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Task> (*make)(const configs::Task&, int64_t seed);
  bool has_tokenizer;  // of its own
};
constexpr Entry kTasks[] = {{"chain7", make_chain7, true}, {"gsm8k", make_gsm8k, false}};

}  // namespace

Item Task::item(Split, int64_t, int64_t) const {
  throw std::invalid_argument(fmt::format("task {} does not make items of a wanted difficulty", name()));
}

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kTasks) names.emplace_back(entry.name);
  return names;
}

std::vector<std::string> tasks_with_tokenizer() {
  std::vector<std::string> names;
  for (const Entry& entry : kTasks) {
    if (entry.has_tokenizer) names.emplace_back(entry.name);
  }
  return names;
}

std::unique_ptr<Task> make_task(const configs::Task& config, int64_t seed) {
  for (const Entry& entry : kTasks) {
    if (entry.name == config.name) return entry.make(config, seed);
  }
  throw std::invalid_argument(fmt::format("unknown task '{}'; known: {}", config.name, fmt::join(task_names(), ", ")));
}

}  // namespace terse::rl
