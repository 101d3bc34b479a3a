// Tests that the field lists are complete, and that everything made from them agrees: round trips, shipped files,
// schema and reference.
#include "configs/fields.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "configs/field_text.h"
#include "configs/yaml/arity.h"
#include "configs/yaml/yaml_tree.h"
#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;
using Json = nlohmann::json;

struct Inner {
  int64_t a = 0;
  std::string b;
};
struct Outer {
  Inner inner;
  std::map<std::string, double> map;
  std::vector<std::string> list;
  bool flag = false;
};

TEST(Arity, CountsDirectMembers) {
  static_assert(arity<Inner>() == 2);
  static_assert(arity<Outer>() == 4);
  static_assert(arity<configs::Run>() == 6);
}

// A list of the wrong length does not compile. But a list that repeats one member and omits another would compile.
TEST(Fields, EachMemberAndEachPathIsListedOnce) {
  RunConfig config;
  std::set<const void*> members;
  std::set<std::string> paths;
  for (const Field& field : list_fields(config).fields) {
    const void* const member = std::visit([](auto* value) { return static_cast<const void*>(value); }, field.value);
    EXPECT_TRUE(members.insert(member).second) << field.path;
    EXPECT_TRUE(paths.insert(field.path).second) << field.path;
  }
  for (const void* const member : members) {
    EXPECT_GE(member, static_cast<const void*>(&config));
    EXPECT_LT(member, static_cast<const void*>(&config + 1));
  }
}

TEST(Fields, HaveHelpOfOneLineWithoutAFullStop) {
  RunConfig config;
  for (const Field& field : list_fields(config).fields) {
    EXPECT_FALSE(field.help.empty()) << field.path;
    EXPECT_EQ(field.help.find('\n'), std::string::npos) << field.path;
    EXPECT_NE(field.help.back(), '.') << field.path;
  }
}

TEST(Fields, DefaultsObeyTheirRules) {
  RunConfig config;
  for (const Field& field : list_fields(config).fields) EXPECT_EQ(rule_violation(field), "") << field.path;
}

std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> kPieces = {
      "a",      "Z",      "7",      " ",    "\n",   "\t",   "\"",  "'",   "\\",     "#",      ": ",
      "- ",     "{",      "}",      "[",    "]",    ",",    "&",   "*",   "!",      "|",      ">",
      "%",      "@",      "`",      "~",    "null", "true", "yes", "1e3", "\u00e9", "\u6f22", "\U0001F600",
      "\u0085", "\u2028", "\ufeff", "\x01", "\x7f", "...",  "---", "?",   "=",      "<<",     "\r"};
  std::string text;
  for (size_t n = random() % 6; n > 0; --n) text += kPieces[random() % kPieces.size()];
  return text;
}

double random_number(std::mt19937& random, const Rule& rule) {
  const double low = std::isfinite(rule.min) ? rule.min : -1e12;
  const double high = std::isfinite(rule.max) ? rule.max : 1e12;
  const double unit = std::uniform_real_distribution<double>(0, 1)(random);
  // Draws uniformly, or over many orders of magnitude above the lower bound, or a small whole number above it.
  switch (random() % 3) {
    case 0:
      return low + unit * (high - low);
    case 1:
      return low + std::pow(10.0, -20 + 25 * unit);
    default:
      return low + static_cast<double>(random() % 9);
  }
}

void randomize(std::mt19937& random, const Field& field) {
  const auto choice = [&] {
    return field.rule.choices.empty() ? random_text(random) : field.rule.choices[random() % field.rule.choices.size()];
  };
  if (auto* const* v = std::get_if<bool*>(&field.value)) **v = random() % 2;
  if (auto* const* v = std::get_if<int64_t*>(&field.value)) **v = std::llround(random_number(random, field.rule));
  if (auto* const* v = std::get_if<double*>(&field.value)) **v = random_number(random, field.rule);
  if (auto* const* v = std::get_if<std::string*>(&field.value)) **v = choice();
  if (auto* const* v = std::get_if<std::vector<std::string>*>(&field.value)) {
    (*v)->clear();
    for (size_t n = random() % 4; n > 0; --n) (*v)->push_back(choice());
  }
  if (auto* const* v = std::get_if<std::map<std::string, double>*>(&field.value)) {
    (*v)->clear();
    for (size_t n = random() % 4; n > 0; --n) (**v)[choice()] = random_number(random, field.rule);
  }
}

// Starts from a valid config and gives one option after the other a random value. A value that breaks a rule is undone.
RunConfig random_config(std::mt19937& random) {
  RunConfig config = accepted(kValid);
  config.data.train = "x.txt";
  config.pretrain.steps = config.rl.steps = 100;
  FieldTable table = list_fields(config);
  std::shuffle(table.fields.begin(), table.fields.end(), random);
  for (const Field& field : table.fields) {
    const RunConfig old = config;
    randomize(random, field);
    if (!check(config).empty()) config = old;
  }
  return config;
}

TEST(RoundTrip, LoadOfToYamlIsTheSameConfig) {
  std::mt19937 random(1);
  std::set<std::string> varied;
  const RunConfig defaults;
  for (int i = 0; i < 150; ++i) {
    const RunConfig config = random_config(random);
    for (const Difference& difference : differences(defaults, config)) varied.insert(difference.key);
    const std::string yaml = to_yaml(config);
    const LoadedConfig loaded = load_text(yaml, "my.yaml", {}, InputFiles::kMayBeMissing);
    for (const Difference& difference : differences(config, loaded.config)) {
      ADD_FAILURE() << difference.key << ": " << difference.before << " came back as " << difference.after;
    }
    EXPECT_EQ(to_yaml(loaded.config), yaml);
    EXPECT_EQ(numerics_hash(loaded.config), numerics_hash(config));
    const LoadedConfig annotated = load_text(to_yaml(config, &loaded.origin), "my.yaml", {}, InputFiles::kMayBeMissing);
    EXPECT_EQ(annotated.config, config);
  }
  RunConfig config;
  for (const Field& field : list_fields(config).fields) {
    EXPECT_TRUE(field.rule.choices.size() == 1 || varied.count(field.path)) << field.path << " was never varied";
  }
}

TEST(RoundTrip, ControlCharactersOfATextAreEscaped) {
  RunConfig config = accepted(kValid);
  config.data.train = "a\tb\nc\x01\"\\";
  const std::string yaml = to_yaml(config);
  EXPECT_THAT(yaml, ::testing::HasSubstr(R"("a\tb\nc\u0001\"\\")"));
  EXPECT_EQ(load_text(yaml, "my.yaml", {}, InputFiles::kMayBeMissing).config, config);
}

TEST(RoundTrip, OriginsWithStrangeFileNamesDoNotBreakTheYaml) {
  const LoadedConfig loaded = load_text(kValid, "a\nmodel: {heads: 1}\n#.yaml");
  EXPECT_EQ(accepted(to_yaml(loaded.config, &loaded.origin)), loaded.config);
}

TEST(Print, ALongValueDoesNotPushTheOriginsOfTheOthersToTheRight) {
  const LoadedConfig loaded = load_text(kValid, "my.yaml");
  const auto column = [&](const RunConfig& config) {
    const std::string yaml = to_yaml(config, &loaded.origin);
    const size_t line = yaml.find("  seed: 1");
    return yaml.find('#', line) - line;
  };
  RunConfig longer = loaded.config;
  longer.run.dir = std::string(80, 'a');
  EXPECT_LT(column(loaded.config), 60u);
  EXPECT_EQ(column(longer), column(loaded.config));
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
  for (const fs::path& path : shipped()) EXPECT_EQ(load(path.string()).config.run.name, path.stem()) << path;
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
Json to_json(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return nullptr;
    case Node::Kind::kList: {
      Json list = Json::array();
      for (const NodePtr& item : node.items) list.push_back(to_json(*item));
      return list;
    }
    case Node::Kind::kMap: {
      Json map = Json::object();
      for (const Entry& entry : node.entries) map[entry.key] = to_json(*entry.value);
      return map;
    }
    case Node::Kind::kScalar:
      break;
  }
  const Json value = Json::parse(node.text, nullptr, false);
  return node.quoted || !(value.is_number() || value.is_boolean()) ? Json(node.text) : value;
}

std::vector<std::string> schema_violations(const std::string& yaml) {
  Mistakes mistakes;
  const NodePtr root = parse_yaml(yaml, "my.yaml", mistakes);
  EXPECT_TRUE(root && mistakes.empty());
  std::vector<std::string> wrong;
  validate(Json::parse(json_schema()), to_json(*root), "", wrong);
  return wrong;
}

TEST(Schema, AcceptsTheShippedFilesAndResolvedConfigs) {
  for (const fs::path& path : shipped()) {
    EXPECT_THAT(schema_violations(read(path)), IsEmpty()) << path;
    EXPECT_THAT(schema_violations(to_yaml(load(path.string()).config)), IsEmpty()) << path;
  }
}

TEST(Schema, AcceptsASectionWhoseLinesAreAllCommentedOut) {
  EXPECT_THAT(schema_violations("model:\n  # heads: 4\nrl:\n  optimizer:\n"), IsEmpty());
}

TEST(Schema, RefusesWhatLoadRefuses) {
  for (const char* yaml :
       {"model: {hedas: 4}", "model: {heads: 0}", "model: {heads: 1.5}", "stages: [dance]", "stages: sft",
        "run: {device: gpu}", "task: {forms: {stats: 1}}", "task: {forms: {states: -1}}", "engine: {top_p: 0}",
        "model: {qk_norm: \"true\"}", "zebra: 1", "rl: {optimizer: {beta1: 1}}", "base: 3"}) {
    EXPECT_FALSE(schema_violations(yaml).empty()) << yaml;
  }
}

TEST(Reference, NamesEveryOption) {
  RunConfig config;
  const std::string text = markdown_reference();
  for (const Field& field : list_fields(config).fields) {
    EXPECT_NE(text.find("| `" + std::string(last_of(field.path)) + "`"), std::string::npos) << field.path;
  }
}

TEST(Reference, DocsAreUpToDate) {
  const fs::path path = kSource / "docs/config.md";
  if (std::getenv("TERSE_UPDATE_DOCS")) std::ofstream(path) << markdown_reference();
  EXPECT_TRUE(read(path) == markdown_reference())
      << path << " is not what configs/fields.cpp says: run scripts/update_config_docs.sh";
}

}  // namespace
}  // namespace terse::configs
