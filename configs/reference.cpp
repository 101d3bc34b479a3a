// Generates the JSON schema and the Markdown reference from the field table.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "configs/fields/field_text.h"
#include "configs/load.h"
#include "configs/yaml/renamed_options.h"

namespace terse::configs {
namespace {

using Json = nlohmann::ordered_json;

void add_bounds(const Rule& rule, Json& schema) {
  if (std::isfinite(rule.min)) schema[rule.min_excluded ? "exclusiveMinimum" : "minimum"] = rule.min;
  if (std::isfinite(rule.max)) schema[rule.max_excluded ? "exclusiveMaximum" : "maximum"] = rule.max;
}

// Returns the part of a field's schema that depends on its type, including the default.
Json typed_schema(const Rule&, bool* value) {
  return {{"type", "boolean"}, {"default", *value}};
}
Json typed_schema(const Rule& rule, int64_t* value) {
  Json schema = {{"type", "integer"}, {"default", *value}};
  add_bounds(rule, schema);
  return schema;
}
Json typed_schema(const Rule& rule, double* value) {
  Json schema = {{"type", "number"}, {"default", *value}};
  add_bounds(rule, schema);
  return schema;
}
Json typed_schema(const Rule& rule, std::string* value) {
  Json schema = {{"type", "string"}, {"default", *value}};
  if (!rule.choices.empty()) schema["enum"] = rule.choices;
  return schema;
}
Json typed_schema(const Rule& rule, std::vector<std::string>* value) {
  Json item = {{"type", "string"}};
  if (!rule.choices.empty()) item["enum"] = rule.choices;
  return {{"type", "array"}, {"items", item}, {"default", *value}};
}
Json typed_schema(const Rule& rule, std::map<std::string, double>* value) {
  Json number = {{"type", "number"}};
  add_bounds(rule, number);
  Json schema = {{"type", "object"}, {"additionalProperties", number}, {"default", Json(*value)}};
  if (!rule.choices.empty()) schema["propertyNames"] = {{"enum", rule.choices}};
  if (value->empty()) schema["default"] = Json::object();
  return schema;
}

Json section_schema(const FieldTable& table, const std::string& section) {
  Json properties = Json::object();
  for (const Field& field : table.fields) {
    if (parent_of(field.path) != section) continue;
    Json schema = {{"description", field.help}};
    schema.update(std::visit([&](auto* value) { return typed_schema(field.rule, value); }, field.value));
    properties[std::string(last_of(field.path))] = schema;
  }
  for (const Section& inner : table.sections) {
    if (parent_of(inner.path) != section) continue;
    Json schema = {{"description", inner.help}};
    schema.update(section_schema(table, inner.path));
    schema["type"] = {"object", "null"};  // a section may have all its lines commented out
    properties[std::string(last_of(inner.path))] = schema;
  }
  return {{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
}

constexpr std::string_view kPreamble = R"(# Configuration reference

<!-- Made from configs/fields/ and the options of the tasks by scripts/update_config_docs.sh; do not edit. -->

A configuration is one YAML file. It contains only the values that differ from the defaults below, or from another file:

```yaml
base: quickstart.yaml   # relative to this file; that file may have a base of its own
run:
  name: no_penalty
rl:
  penalty: {kind: none}
```

- **Precedence**, highest first: `--set`, the file, its base, the base of that base, ..., the default. A list or a map replaces the whole list or map
  of lower precedence. `terse config print FILE` shows every value and its origin.
- **`--set key=value`** takes dotted keys and may be repeated: `--set sft.steps=300`, `--set stages=[sft,rl]`, and for one entry of a map
  `--set task.forms.states=0.5`.
- **Values are read strictly.** Whole numbers are decimal digits (`1000`, not `1_000`, `1e3` or `1000.0`); numbers are finite decimals (`0.001`,
  `1e-3`) that fp32 can represent: 0, or a magnitude between about 1.2e-38 and 3.4e38; booleans are `true` or `false` only. YAML tags, merge keys,
  duplicate keys and unknown keys are errors. All mistakes of all files are shown at once, each with its file, line and column and the nearest
  known key.
- **Input files** (`data.train`, `data.val`, `sft.train`, `sft.val`, `tokenizer.path`, `chat.chat_template`), `model.init` and `lora.init` are searched relative to the working directory, then to the
  folder of the file that names them, then to that folder's parent. A name given by `--set` is relative to the working directory.
- **`model.depth`** sets the size of the model in one number: layers = depth, `hidden_size` = 64 x depth, one head per 64 of it, and `kv_heads`, `head_dim`
  and `intermediate_size` automatic. An option that the same file or a nearer source sets keeps its value.
- **Resuming** compares a hash of the options that change the numbers of a run; those marked * are not part of it and may be changed between two
  starts of the same run. The hash includes the name of an input file, but not its folder.
- **Older names** of options and sections still work in files and with `--set`. Each use gives a warning with the present name.
)";

void add_renamed_options(std::string& out) {
  out += "\n| older name | present name |\n|---|---|\n";
  for (const RenamedOption& option : kRenamedOptions)
    out += fmt::format("| `{}` | `{}` |\n", option.before, option.now);
}

// Escapes the text for a cell of the table. A vertical bar would end the cell, and <name> would be a tag.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' || c == '<' ? std::string{'\\', c} : std::string(1, c);
  return out;
}

void add_table(const FieldTable& table, const std::string& section, std::string& out) {
  out += "\n| key | default | takes | meaning |\n|---|---|---|---|\n";
  for (const Field& field : table.fields) {
    if (parent_of(field.path) != section) continue;
    out += fmt::format("| `{}`{} | `{}` | {} | {} |\n", last_of(field.path), field.rule.changes_numbers ? "" : " *",
                       value_text(field.value), cell(describe(field)), cell(field.help));
  }
}

// In the section of a mixture, every key names a task.
void name_parts_freely(Json& section) {
  Json part = section["properties"]["part"];
  part["properties"]["name"].erase("default");
  section.erase("properties");
  section["propertyNames"] = {{"pattern", "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}};
  section["additionalProperties"] = std::move(part);
}

}  // namespace

std::string json_schema(RunConfig defaults) {
  defaults.task.mixture.emplace("part", new_part(defaults.task));
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Configuration of a terse run"}};
  schema.update(section_schema(list_fields(defaults), ""));
  name_parts_freely(schema["properties"]["task"]["properties"][std::string(kMixture)]);
  schema["properties"]["base"] = {
      {"description", "base file whose values this file overrides; the path is relative to this file"},
      {"type", "string"}};
  return schema.dump(2) + "\n";
}

std::string markdown_reference(RunConfig defaults) {
  const FieldTable table = list_fields(defaults);
  std::string out(kPreamble);
  add_renamed_options(out);
  out += "\n## Top level\n";
  add_table(table, "", out);
  for (const Section& section : table.sections) {
    out += fmt::format("\n## {}\n\n{}.\n", section.path, section.help);
    if (!table.keys_of(section.path).empty()) add_table(table, section.path, out);
  }
  return out;
}

}  // namespace terse::configs
