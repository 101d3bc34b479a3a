// Compares and hashes configurations by the YAML text of their values.
#include <filesystem>
#include <stdexcept>
#include <variant>

#include "base/sha256.h"
#include "configs/fields/field_text.h"
#include "configs/load.h"
#include "configs/task_catalog.h"
#include "configs/yaml/renamed_options.h"

namespace terse::configs {

std::vector<Difference> differences(const RunConfig& before, const RunConfig& after) {
  RunConfig a = before, b = after;
  const FieldTable fields_a = list_fields(a), fields_b = list_fields(b);
  std::vector<Difference> out;
  // Only tasks of a mixture may be missing in one of the two.
  const auto text = [](const Field* field) { return field == nullptr ? "nothing" : value_text(field->value); };
  for (const Field& field : fields_a.fields) {
    const Field* other = fields_b.find(field.path);
    if (other == nullptr && !field.path.starts_with(kMixtureSection))
      throw std::logic_error("the two configurations have different catalogs of tasks");
    Difference difference{field.path, value_text(field.value), text(other), field.rule.changes_numbers};
    if (difference.before != difference.after) out.push_back(std::move(difference));
  }
  for (const Field& field : fields_b.fields) {
    if (fields_a.find(field.path) == nullptr)
      out.push_back({field.path, "nothing", value_text(field.value), field.rule.changes_numbers});
  }
  return out;
}

std::map<std::string, std::string> values(const RunConfig& config) {
  RunConfig copy = config;
  std::map<std::string, std::string> out;
  for (const Field& field : list_fields(copy).fields) out[field.path] = value_text(field.value);
  return out;
}

bool operator==(const RunConfig& a, const RunConfig& b) {
  return differences(a, b).empty();
}

std::string numerics_hash(const RunConfig& config) {
  constexpr size_t kDigits = 16;
  RunConfig copy = config;
  RunConfig defaults;
  defaults.task.options = default_options(config.task.options);
  for (const auto& [name, part] : config.task.mixture) defaults.task.mixture.emplace(name, new_part(config.task));
  const FieldTable fields_of_defaults = list_fields(defaults);
  std::string text;
  for (const Field& field : list_fields(copy).fields) {
    if (!field.rule.changes_numbers) continue;
    const Field* by_default = field.rule.counts_when_set ? fields_of_defaults.find(field.path) : nullptr;
    if (by_default != nullptr && value_text(by_default->value) == value_text(field.value)) continue;
    // Older builds have no such options, and the hash of their runs stays as it is.
    if (field.path.starts_with("model.rope_scaling.") && copy.model.rope_scaling.type == "none") continue;
    if (field.rule.input_file) {
      // The folder around a file depends on the machine, so only the name counts. The reader of the file checks its
      // content.
      std::string& path = *std::get<std::string*>(field.value);
      const std::filesystem::path written(path);
      path = (written.has_filename() ? written : written.parent_path()).filename().string();
      // Older builds have no model.init, and the hash of their runs stays as it is.
      if (field.path == "model.init" && path.empty()) continue;
    }
    // Nor have they an option for a list that may be empty.
    const auto* list = std::get_if<std::vector<std::string>*>(&field.value);
    if (list != nullptr && (*list)->empty()) continue;
    // A resumed run compares this hash with that of an older build, so a renamed option keeps its first name here.
    text += first_path(field.path) + "=" + value_text(field.value) + "\n";
  }
  return sha256_bytes(text).substr(0, kDigits);
}

}  // namespace terse::configs
