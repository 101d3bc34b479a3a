// Tests that the field lists are complete, and that a printed config reads back.
#include "configs/fields.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "configs/fields/field_text.h"
#include "configs/yaml/arity.h"
#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

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
  RunConfig config = toy_defaults();
  for (const Field& field : list_fields(config).fields) {
    EXPECT_FALSE(field.help.empty()) << field.path;
    EXPECT_EQ(field.help.find('\n'), std::string::npos) << field.path;
    EXPECT_NE(field.help.back(), '.') << field.path;
  }
}

TEST(Fields, DefaultsObeyTheirRules) {
  RunConfig config = toy_defaults();
  for (const Field& field : list_fields(config).fields) EXPECT_EQ(rule_violation(field), "") << field.path;
}

TEST(Fields, ThoseOfTasksStandBehindTheNameOfTheTask) {
  RunConfig config = toy_defaults();
  const std::vector<std::string> keys = list_fields(config).keys_of("task");
  EXPECT_THAT(keys, ::testing::ElementsAre("name", "fewest", "most", "hint", "noise", "style", "forms", "path",
                                           "eval_path", "weight", "mixture"));
}

TEST(TaskOptions, KeepTheTypesOfTheirDefaults) {
  TaskOptions options = toy_defaults().task.options;
  options.set("most", 3);
  options.set("noise", 0.25);
  options.set("style", std::string("fancy"));
  EXPECT_EQ(options.get<int64_t>("most"), 3);
  EXPECT_EQ(options.get<double>("noise"), 0.25);
  EXPECT_EQ(options.get<std::string>("style"), "fancy");
  EXPECT_EQ(toy_defaults().task.options.get<int64_t>("most"), 8);
  EXPECT_THROW(options.set("most", 0.5), std::logic_error);
  EXPECT_THROW(options.get<bool>("most"), std::bad_variant_access);
  EXPECT_THROW(options.get<bool>("mots"), std::logic_error);
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
  const RunConfig& defaults = toy_defaults();
  for (int i = 0; i < 150; ++i) {
    const RunConfig config = random_config(random);
    for (const Difference& difference : differences(defaults, config)) varied.insert(difference.key);
    const std::string yaml = to_yaml(config);
    const LoadedConfig loaded = loosely_loaded(yaml);
    for (const Difference& difference : differences(config, loaded.config)) {
      ADD_FAILURE() << difference.key << ": " << difference.before << " came back as " << difference.after;
    }
    EXPECT_EQ(to_yaml(loaded.config), yaml);
    EXPECT_EQ(numerics_hash(loaded.config), numerics_hash(config));
    const LoadedConfig annotated = loosely_loaded(to_yaml(config, &loaded.origin));
    EXPECT_EQ(annotated.config, config);
  }
  RunConfig config = toy_defaults();
  for (const Field& field : list_fields(config).fields) {
    EXPECT_TRUE(field.rule.choices.size() == 1 || varied.count(field.path)) << field.path << " was never varied";
  }
}

TEST(RoundTrip, ControlCharactersOfATextAreEscaped) {
  RunConfig config = accepted(kValid);
  config.data.train = "a\tb\nc\x01\"\\";
  const std::string yaml = to_yaml(config);
  EXPECT_THAT(yaml, ::testing::HasSubstr(R"("a\tb\nc\u0001\"\\")"));
  EXPECT_EQ(loosely_loaded(yaml).config, config);
}

TEST(RoundTrip, OriginsWithStrangeFileNamesDoNotBreakTheYaml) {
  const LoadedConfig loaded =
      load_text(kValid, "a\nmodel: {heads: 1}\n#.yaml", {}, InputFiles::kMustExist, toy_defaults());
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

}  // namespace
}  // namespace terse::configs
