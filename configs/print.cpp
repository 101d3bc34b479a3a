// Prints the complete configuration as YAML, with the origin of each value as a comment.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "configs/fields/field_text.h"
#include "configs/load.h"

namespace terse::configs {
namespace {

struct Line {
  std::string text;
  std::string origin;
};

void add_section(const FieldTable& table, const std::string& section, int depth,
                 const std::map<std::string, std::string>* origin, std::vector<Line>& lines) {
  const std::string indent(static_cast<size_t>(2 * depth), ' ');
  for (const Field& field : table.fields) {
    if (parent_of(field.path) != section) continue;
    std::string from;
    if (origin) {
      const auto found = origin->find(field.path);
      from = found == origin->end() ? "default" : found->second;
    }
    lines.push_back({fmt::format("{}{}: {}", indent, last_of(field.path), value_text(field.value)), from});
  }
  for (const Section& inner : table.sections) {
    if (parent_of(inner.path) != section || table.keys_of(inner.path).empty()) continue;
    if (depth == 0) lines.push_back({});
    lines.push_back({fmt::format("{}{}:", indent, last_of(inner.path)), ""});
    add_section(table, inner.path, depth + 1, origin, lines);
  }
}

}  // namespace

std::string to_yaml(const RunConfig& config, const std::map<std::string, std::string>* origin) {
  RunConfig copy = config;
  std::vector<Line> lines;
  add_section(list_fields(copy), "", 0, origin, lines);
  constexpr size_t kWidest = 60;  // longer lines do not count for the column of the comments
  size_t column = 0;
  for (const Line& line : lines) {
    if (!line.origin.empty() && line.text.size() <= kWidest) column = std::max(column, line.text.size());
  }
  std::string out;
  for (const Line& line : lines) {
    if (line.origin.empty()) {
      out += line.text + "\n";
    } else {
      // An origin contains a file name, which may contain control characters.
      const std::string name = shown(line.origin);
      out += fmt::format("{:<{}}  # {}\n", line.text, column, name.substr(1, name.size() - 2));
    }
  }
  return out;
}

}  // namespace terse::configs
