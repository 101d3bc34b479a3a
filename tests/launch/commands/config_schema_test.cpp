// Tests what is made from the lists of all options, those of the tasks included: the shipped files load, the schema and
// docs/config.md agree with the options, and the hash is the one of older builds.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "configs/fields.h"
#include "configs/load.h"
#include "configs/yaml/yaml_tree.h"
#include "rl/tasks/task.h"
#include "tests/support/temporary_folder.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;
using Json = nlohmann::json;

const fs::path kSource = TERSE_SOURCE_DIR;

configs::RunConfig load_file(const fs::path& path) {
  return configs::load(path.string(), {}, configs::InputFiles::kMayBeMissing, rl::default_config()).config;
}

std::vector<fs::path> shipped() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(kSource / "configs")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(Shipped, AllLoadAndAreNamedAfterTheirRun) {
  EXPECT_GE(shipped().size(), 6u);
  for (const fs::path& path : shipped()) EXPECT_EQ(load_file(path).run.name, path.stem()) << path;
}

// Validates with the part of JSON Schema that our schema uses. An unknown keyword fails the test.
void validate(const Json& schema, const Json& value, const std::string& path, std::vector<std::string>& wrong) {
  const auto is_type = [&](const std::string& type) {
    return (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
           (type == "string" && value.is_string()) || (type == "boolean" && value.is_boolean()) ||
           (type == "integer" && value.is_number_integer()) || (type == "number" && value.is_number()) ||
           (type == "null" && value.is_null());
  };
  for (const auto& [key, rule] : schema.items()) {
    bool good = true;
    if (key == "type") {
      good = rule.is_array() ? std::any_of(rule.begin(), rule.end(), is_type) : is_type(rule);
    } else if (key == "enum") {
      good = std::find(rule.begin(), rule.end(), value) != rule.end();
    } else if (key == "pattern") {
      good = std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>()));
    } else if (key == "minimum") {
      good = value >= rule;
    } else if (key == "maximum") {
      good = value <= rule;
    } else if (key == "exclusiveMinimum") {
      good = value > rule;
    } else if (key == "exclusiveMaximum") {
      good = value < rule;
    } else if (key == "items") {
      for (const Json& item : value) validate(rule, item, path + "[]", wrong);
    } else if (key == "propertyNames") {
      for (const auto& [name, inner] : value.items()) validate(rule, name, path + "." + name, wrong);
    } else if (key == "properties") {
      for (const auto& [name, inner] : value.items()) {
        if (rule.contains(name)) validate(rule[name], inner, path + "." + name, wrong);
      }
    } else if (key == "additionalProperties") {
      for (const auto& [name, inner] : value.items()) {
        if (schema.contains("properties") && schema["properties"].contains(name)) continue;
        if (rule == false) {
          wrong.push_back(path + "." + name + " is unknown");
        } else {
          validate(rule, inner, path + "." + name, wrong);
        }
      }
    } else {
      good = key == "$schema" || key == "title" || key == "description" || key == "default";
    }
    if (!good) wrong.push_back(path + ": " + key + " " + rule.dump() + " does not hold for " + value.dump());
  }
}

// Converts a tree to JSON like a YAML reader that does not know our types.
Json to_json(const configs::Node& node) {
  switch (node.kind) {
    case configs::Node::Kind::kNull:
      return nullptr;
    case configs::Node::Kind::kList: {
      Json list = Json::array();
      for (const configs::NodePtr& item : node.items) list.push_back(to_json(*item));
      return list;
    }
    case configs::Node::Kind::kMap: {
      Json map = Json::object();
      for (const configs::Entry& entry : node.entries) map[entry.key] = to_json(*entry.value);
      return map;
    }
    case configs::Node::Kind::kScalar:
      break;
  }
  const Json value = Json::parse(node.text, nullptr, false);
  return node.quoted || !(value.is_number() || value.is_boolean()) ? Json(node.text) : value;
}

std::vector<std::string> schema_violations(const std::string& yaml) {
  configs::Mistakes mistakes;
  const configs::NodePtr root = configs::parse_yaml(yaml, "my.yaml", mistakes);
  EXPECT_TRUE(root && mistakes.empty());
  std::vector<std::string> wrong;
  validate(Json::parse(configs::json_schema(rl::default_config())), to_json(*root), "", wrong);
  return wrong;
}

TEST(Schema, AcceptsTheShippedFilesAndResolvedConfigs) {
  for (const fs::path& path : shipped()) {
    EXPECT_THAT(schema_violations(support::read_file(path)), IsEmpty()) << path;
    EXPECT_THAT(schema_violations(configs::to_yaml(load_file(path))), IsEmpty()) << path;
  }
}

TEST(Schema, AcceptsASectionWhoseLinesAreAllCommentedOut) {
  EXPECT_THAT(schema_violations("model:\n  # heads: 4\nrl:\n  optimizer:\n"), IsEmpty());
}

TEST(Schema, AcceptsTasksOfAMixtureUnderAnyName) {
  EXPECT_THAT(schema_violations("task: {name: mixture, mixture: {gsm-2: {name: gsm8k, path: a, weight: 0.5}}}"),
              IsEmpty());
}

TEST(Schema, RefusesWhatLoadRefuses) {
  for (const char* yaml : {"model: {hedas: 4}", "model: {heads: 0}", "model: {heads: 1.5}", "stages: [dance]",
                           "stages: sft", "run: {device: gpu}", "task: {forms: {stats: 1}}",
                           "task: {forms: {states: -1}}", "engine: {top_p: 0}", "model: {qk_norm: \"true\"}",
                           "zebra: 1", "rl: {optimizer: {beta1: 1}}", "base: 3", "task: {mixture: {a: {weight: 0}}}",
                           "task: {mixture: {a b: {weight: 1}}}", "task: {mixture: {a: {mixture: {}}}}"}) {
    EXPECT_FALSE(schema_violations(yaml).empty()) << yaml;
  }
}

TEST(Reference, NamesEveryOption) {
  configs::RunConfig config = rl::default_config();
  const std::string text = configs::markdown_reference(rl::default_config());
  for (const configs::Field& field : configs::list_fields(config).fields) {
    EXPECT_NE(text.find("| `" + std::string(configs::last_of(field.path)) + "`"), std::string::npos) << field.path;
  }
}

TEST(Reference, DocsAreUpToDate) {
  const fs::path path = kSource / "docs/config.md";
  if (std::getenv("TERSE_UPDATE_DOCS")) std::ofstream(path) << configs::markdown_reference(rl::default_config());
  EXPECT_TRUE(support::read_file(path) == configs::markdown_reference(rl::default_config()))
      << path << " is not what configs/fields/ and the tasks say: run scripts/update_config_docs.sh";
}

// Builds whose options had other names, and whose tasks did not declare theirs, gave these values.
TEST(Hash, IsThatOfOlderBuilds) {
  EXPECT_EQ(configs::numerics_hash(rl::default_config()), "6de8b8386848a742");
  configs::RunConfig changed = rl::default_config();
  changed.model.hidden_size = 96;
  changed.model.intermediate_size = 256;
  changed.model.head_dim = 16;
  changed.model.max_seq_len = 512;
  changed.pretrain.seq_len = 128;
  changed.rl.demonstrations = 7;
  changed.rl.demonstration_weight = 0.5;
  changed.rl.student = {1, 2, 0.25};
  EXPECT_EQ(configs::numerics_hash(changed), "2258a3aab48683eb");
}

}  // namespace
}  // namespace terse::launch
