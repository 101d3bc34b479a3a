// The rules that fields.cpp gives to options, and lookups in the table that it makes.
#include <algorithm>
#include <utility>

#include "configs/fields.h"
#include "configs/task_catalog.h"

namespace terse::configs {

Rule at_least(double min) {
  Rule rule;
  rule.min = min;
  return rule;
}

Rule above(double min) {
  Rule rule = at_least(min);
  rule.min_excluded = true;
  return rule;
}

Rule between(double min, double max) {
  Rule rule = at_least(min);
  rule.max = max;
  return rule;
}

Rule above_up_to(double min, double max) {
  Rule rule = between(min, max);
  rule.min_excluded = true;
  return rule;
}

Rule from_up_to_below(double min, double max) {
  Rule rule = between(min, max);
  rule.max_excluded = true;
  return rule;
}

Rule one_of(std::vector<std::string> choices) {
  Rule rule;
  rule.choices = std::move(choices);
  return rule;
}

Rule input_file() {
  Rule rule;
  rule.input_file = true;
  return rule;
}

Rule input_file_or_folder() {
  Rule rule = input_file();
  rule.folder_too = true;
  return rule;
}

Rule input_file_or_one_of(std::vector<std::string> words) {
  Rule rule = input_file();
  rule.words = std::move(words);
  return rule;
}

Rule cosmetic(Rule rule) {
  rule.changes_numbers = false;
  return rule;
}

Rule newer(Rule rule) {
  rule.counts_when_set = true;
  return rule;
}

const Field* FieldTable::find(std::string_view path) const {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return field.path == path; });
  return found == fields.end() ? nullptr : &*found;
}

bool FieldTable::is_section(std::string_view path) const {
  return path.empty() ||
         std::any_of(sections.begin(), sections.end(), [&](const Section& s) { return s.path == path; });
}

std::vector<std::string> FieldTable::keys_of(std::string_view section) const {
  std::vector<std::string> keys;
  for (const Field& field : fields) {
    if (parent_of(field.path) == section) keys.emplace_back(last_of(field.path));
  }
  for (const Section& inner : sections) {
    if (parent_of(inner.path) == section) keys.emplace_back(last_of(inner.path));
  }
  return keys;
}

Task new_part(const Task& mixture) {
  Task part;
  part.options = default_options(mixture.options);
  return part;
}

bool is_part_name(std::string_view name) {
  constexpr size_t kLongest = 64;
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= kLongest && is_word(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_word(c) || c == '_' || c == '-'; });
}

std::string_view parent_of(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

std::string_view last_of(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

std::string join(std::string_view section, std::string_view key) {
  return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
}

}  // namespace terse::configs
