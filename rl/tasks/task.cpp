// The table of tasks: name to factory. It is explicit, because the linker drops self-registering objects of a static
// library that nothing refers to.
#include "rl/tasks/task.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <stdexcept>

#include "rl/tasks/chain7.h"
#include "rl/tasks/external/external.h"
#include "rl/tasks/files/gsm8k.h"
#include "rl/tasks/files/jsonl.h"
#include "rl/tasks/mixture.h"

namespace terse::rl {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Task> (*make)(const configs::Task&, int64_t seed);
  bool has_tokenizer;            // of its own
  bool runs_a_program;           // of the user
  TaskDeclaration (*declare)();  // null: it has no options of its own
};
constexpr Entry kTasks[] = {{"chain7", make_chain7, true, false, declare_chain7},
                            {"gsm8k", make_gsm8k, false, false, nullptr},
                            {"jsonl", make_jsonl, false, false, declare_jsonl},
                            {"external", make_external, false, true, declare_external},
                            {configs::kMixture, make_mixture, false, false, nullptr}};

void check_task(const configs::Task& task, std::vector<configs::Violation>& out) {
  for (const Entry& entry : kTasks) {
    if (entry.name != task.name || entry.declare == nullptr) continue;
    if (const auto check = entry.declare().check) check(task, out);
  }
}

configs::TaskCatalog make_catalog() {
  configs::TaskCatalog catalog{.names = task_names(), .forms = {}, .options = {}, .check = check_task};
  std::set<std::string> taken;
  for (const Entry& entry : kTasks) {
    if (entry.declare == nullptr) continue;
    const TaskDeclaration declaration = entry.declare();
    for (const configs::TaskOption& option : declaration.options) {
      if (!taken.insert(option.name).second)
        throw std::logic_error(fmt::format("task {} declares task.{}, as another task does", entry.name, option.name));
      catalog.options.push_back(option);
    }
    for (const std::string& form : declaration.forms) {
      if (std::find(catalog.forms.begin(), catalog.forms.end(), form) == catalog.forms.end())
        catalog.forms.push_back(form);
    }
  }
  return catalog;
}

}  // namespace

Item Task::item(Split, int64_t, const Difficulty&) const {
  throw std::invalid_argument(fmt::format("task {} does not make items of a wanted difficulty", name()));
}

std::vector<Item> Task::evaluation_items(int64_t per_difficulty) const {
  std::vector<Item> items;
  if (const std::optional<int64_t> count = size(Split::kEval)) {
    std::map<int64_t, int64_t> taken;
    for (int64_t i = 0; i < *count; ++i) {
      Item made = item(Split::kEval, i);
      if (taken[made.difficulty]++ < per_difficulty) items.push_back(std::move(made));
    }
    return items;
  }
  for (const Difficulty& difficulty : difficulties()) {
    for (int64_t i = 0; i < per_difficulty; ++i) items.push_back(item(Split::kEval, i, difficulty));
  }
  return items;
}

const configs::RunConfig& default_config() {
  static const configs::RunConfig config = [] {
    configs::RunConfig made;
    made.task.name = kTasks[0].name;
    made.task.options = configs::TaskOptions(std::make_shared<const configs::TaskCatalog>(make_catalog()));
    return made;
  }();
  return config;
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

bool runs_a_program(const configs::Task& config) {
  const auto runs = [](const configs::Task& task) {
    return std::any_of(std::begin(kTasks), std::end(kTasks),
                       [&](const Entry& entry) { return entry.name == task.name && entry.runs_a_program; });
  };
  if (config.name != configs::kMixture) return runs(config);
  return std::any_of(config.mixture.begin(), config.mixture.end(), [&](const auto& part) { return runs(part.second); });
}

std::unique_ptr<Task> make_task(const configs::Task& config, int64_t seed) {
  for (const Entry& entry : kTasks) {
    if (entry.name == config.name) return entry.make(config, seed);
  }
  throw std::invalid_argument(fmt::format("unknown task '{}'; known: {}", config.name, fmt::join(task_names(), ", ")));
}

}  // namespace terse::rl
