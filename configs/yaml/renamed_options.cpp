// Replaces the leading part of a path that the table names.
#include "configs/yaml/renamed_options.h"

namespace terse::configs {
namespace {

std::string replaced(std::string_view path, std::string_view RenamedOption::*from,
                     std::string_view RenamedOption::*to) {
  for (const RenamedOption& option : kRenamedOptions) {
    const std::string_view name = option.*from;
    if (path != name && !path.starts_with(std::string(name) + ".")) continue;
    return std::string(option.*to) + std::string(path.substr(name.size()));
  }
  return std::string(path);
}

}  // namespace

std::string current_path(std::string_view path) {
  return replaced(path, &RenamedOption::before, &RenamedOption::now);
}

std::string first_path(std::string_view path) {
  return replaced(path, &RenamedOption::now, &RenamedOption::before);
}

}  // namespace terse::configs
