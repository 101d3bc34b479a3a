// Values of the options that tasks declare, found by name.
#include "configs/task_catalog.h"

#include <fmt/format.h>

#include <stdexcept>

namespace terse::configs {

TaskOptions::TaskOptions(std::shared_ptr<const TaskCatalog> catalog) : catalog_(std::move(catalog)) {
  for (const TaskOption& option : catalog_->options) values_.push_back(option.default_value);
}

TaskOptions default_options(TaskOptions options) {
  for (size_t i = 0; i < options.values().size(); ++i)
    options.values()[i] = options.catalog()->options[i].default_value;
  return options;
}

void TaskOptions::set(std::string_view name, OptionValue value) {
  OptionValue& current = at(name);
  if (current.index() != value.index())
    throw std::logic_error(fmt::format("task.{}: the value has another type than the default", name));
  current = std::move(value);
}

OptionValue& TaskOptions::at(std::string_view name) {
  for (size_t i = 0; i < values_.size(); ++i) {
    if (catalog_->options[i].name == name) return values_[i];
  }
  throw std::logic_error(fmt::format("no task declares the option task.{}", name));
}

const OptionValue& TaskOptions::at(std::string_view name) const {
  return const_cast<TaskOptions*>(this)->at(name);
}

}  // namespace terse::configs
