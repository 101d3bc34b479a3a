// Tests the section task.mixture: its keys are names of tasks, each with the options of a task.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "configs/fields.h"
#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const RunConfig& mixture_defaults() {
  static const RunConfig defaults = [] {
    TaskCatalog catalog = *toy_defaults().task.options.catalog();
    catalog.names.emplace_back(kMixture);
    RunConfig config = toy_defaults();
    config.task.options = TaskOptions(std::make_shared<const TaskCatalog>(std::move(catalog)));
    return config;
  }();
  return defaults;
}

LoadedConfig loaded(const std::string& yaml, const std::vector<std::string>& overrides = {},
                    InputFiles files = InputFiles::kMayBeMissing) {
  return load_text(kValid + yaml, "my.yaml", overrides, files, mixture_defaults());
}

std::string refused(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  try {
    loaded(yaml, overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << yaml;
  return "";
}

const std::string kTwo = R"(task:
  name: mixture
  mixture:
    first: {name: toy, most: 5, forms: {direct: 1}, weight: 3}
    second_1-b:
      name: other
      path: train.jsonl
)";

TEST(MixtureOfTasks, EachKeyIsATaskWithOptionsOfItsOwn) {
  const Task task = loaded(kTwo).config.task;
  ASSERT_EQ(task.mixture.size(), 2u);
  const Task &first = task.mixture.at("first"), &second = task.mixture.at("second_1-b");
  EXPECT_EQ(first.name, "toy");
  EXPECT_EQ(first.options.get<int64_t>("most"), 5);
  EXPECT_EQ(first.options.get<int64_t>("fewest"), 1);
  EXPECT_THAT(first.forms, ElementsAre(testing::Pair("direct", 1.0)));
  EXPECT_EQ(first.weight, 3);
  EXPECT_EQ(second.name, "other");
  EXPECT_EQ(second.options.get<int64_t>("most"), 8);
  EXPECT_EQ(second.path, "train.jsonl");
  EXPECT_EQ(second.weight, 1);
  EXPECT_EQ(task.options.get<int64_t>("most"), 8) << "the options of the whole are others";
}

TEST(MixtureOfTasks, OverridesChangeOneOption) {
  const Task task =
      loaded(kTwo, {"task.mixture.first.weight=0.5", "task.mixture.second_1-b.forms.direct=2"}).config.task;
  EXPECT_EQ(task.mixture.at("first").weight, 0.5);
  EXPECT_EQ(task.mixture.at("first").options.get<int64_t>("most"), 5);
  EXPECT_THAT(task.mixture.at("second_1-b").forms, ElementsAre(testing::Pair("direct", 2.0)));
  EXPECT_THAT(refused(kTwo, {"task.mixture.frist.weight=2"}), HasSubstr("did you mean task.mixture.first.weight?"));
  EXPECT_THAT(refused(kTwo, {"task.mixture.first.wieght=2"}), HasSubstr("did you mean task.mixture.first.weight?"));
  EXPECT_THAT(refused(kTwo, {"task.mixture.first=2"}), HasSubstr("task.mixture.first is a section"));
  EXPECT_THAT(refused(kTwo, {"task.mixture=2"}), HasSubstr("task.mixture is a section"));
}

TEST(MixtureOfTasks, AFileBuildsOnTheMixtureOfItsBase) {
  const support::TemporaryFolder folder;
  write(folder.path() / "base.yaml", kValid + kTwo);
  const auto path = write(folder.path() / "near.yaml",
                          "base: base.yaml\ntask:\n  mixture:\n    first: {weight: 7}\n    third: {name: toy}\n");
  const LoadedConfig near = load(path.string(), {}, InputFiles::kMayBeMissing, mixture_defaults());
  const Task& task = near.config.task;
  ASSERT_EQ(task.mixture.size(), 3u);
  EXPECT_EQ(task.mixture.at("first").weight, 7);
  EXPECT_EQ(task.mixture.at("first").options.get<int64_t>("most"), 5);
  EXPECT_THAT(near.origin.at("task.mixture.first.weight"), HasSubstr("near.yaml:4"));
  EXPECT_THAT(near.origin.at("task.mixture.first.most"), HasSubstr("base.yaml:"));
}

TEST(MixtureOfTasks, FilesAreFoundBesideTheConfig) {
  const support::TemporaryFolder folder;
  write(folder.path() / "train.jsonl", "x");
  const auto path = write(folder.path() / "my.yaml", kValid + kTwo);
  const Task task = load(path.string(), {}, InputFiles::kMustExist, mixture_defaults()).config.task;
  EXPECT_EQ(task.mixture.at("second_1-b").path, (folder.path() / "train.jsonl").string());
  std::filesystem::remove(folder.path() / "train.jsonl");
  try {
    load(path.string(), {}, InputFiles::kMustExist, mixture_defaults());
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("my.yaml:10"), HasSubstr("task.mixture.second_1-b.path: no such file")));
  }
}

TEST(MixtureOfTasks, PrintedConfigsReadBack) {
  const LoadedConfig two = loaded(kTwo);
  for (const std::string& yaml : {to_yaml(two.config), to_yaml(two.config, &two.origin)}) {
    const RunConfig again = load_text(yaml, "again.yaml", {}, InputFiles::kMayBeMissing, mixture_defaults()).config;
    EXPECT_EQ(again, two.config);
    EXPECT_EQ(numerics_hash(again), numerics_hash(two.config));
    EXPECT_EQ(load_saved(yaml, "saved", mixture_defaults()), two.config);
  }
  EXPECT_THAT(to_yaml(two.config, &two.origin), HasSubstr("# my.yaml:7"));
  EXPECT_THAT(to_yaml(loaded("").config), Not(HasSubstr("mixture")));
}

TEST(MixtureOfTasks, DifferencesAndTheHashTellMixturesApart) {
  const RunConfig two = loaded(kTwo).config;
  const RunConfig heavier = loaded(kTwo, {"task.mixture.first.weight=4"}).config;
  const RunConfig three = loaded(kTwo + "    third: {name: toy}\n").config;
  const std::vector<Difference> weights = differences(two, heavier);
  ASSERT_EQ(weights.size(), 1u);
  EXPECT_EQ(weights[0].key, "task.mixture.first.weight");
  EXPECT_EQ(weights[0].before, "3");
  EXPECT_EQ(weights[0].after, "4");
  EXPECT_TRUE(weights[0].changes_numbers);
  for (const auto& [before, after, was, is] :
       {std::tuple(two, three, "nothing", "toy"), {three, two, "toy", "nothing"}}) {
    bool told = false;
    for (const Difference& difference : differences(before, after)) {
      EXPECT_THAT(difference.key, ::testing::StartsWith("task.mixture.third."));
      if (difference.key != "task.mixture.third.name") continue;
      EXPECT_EQ(difference.before, was);
      EXPECT_EQ(difference.after, is);
      told = true;
    }
    EXPECT_TRUE(told);
  }
  EXPECT_FALSE(two == three);
  EXPECT_NE(numerics_hash(two), numerics_hash(heavier));
  EXPECT_NE(numerics_hash(two), numerics_hash(three));
  EXPECT_NE(numerics_hash(two), numerics_hash(loaded(kTwo, {"task.mixture.first.most=6"}).config));
}

TEST(MixtureOfTasks, RulesOfATaskNameTheOptionsOfThePart) {
  EXPECT_THAT(refused(kTwo, {"task.mixture.first.fewest=7"}),
              AllOf(HasSubstr("task.mixture.first.fewest: is 7, above task.mixture.first.most 5")));
  EXPECT_THAT(refused(kTwo, {"task.mixture.first.forms={direct: 0}"}),
              HasSubstr("task.mixture.first.forms: gives no form a share above 0"));
  EXPECT_THAT(refused(kTwo, {"task.mixture.first.weight=0"}), HasSubstr("task.mixture.first.weight"));
  EXPECT_THAT(refused(kTwo, {"task.mixture.first.name=toi"}), HasSubstr("did you mean toy?"));
}

TEST(MixtureOfTasks, MistakesOfPartsAreNamedWithTheirPlace) {
  const auto part = [](const std::string& text) { return "task:\n  name: mixture\n  mixture:\n    " + text + "\n"; };
  EXPECT_THAT(refused(part("a: {name: toy, wieght: 2}")),
              AllOf(HasSubstr("my.yaml:7"), HasSubstr("did you mean task.mixture.a.weight?")));
  EXPECT_THAT(refused(part("a: toy")), AllOf(HasSubstr("my.yaml:7"), HasSubstr("expected its options below it")));
  EXPECT_THAT(refused(part("a:")), HasSubstr("expected its options below it"));
  EXPECT_THAT(refused(part("weight: 3")), HasSubstr("task.mixture.weight names a task of the mixture"));
  for (const char* name : {"'a b'", "'a.b'", "-a", "_a", "\"\\xe9\"", "''"})
    EXPECT_THAT(refused(part(std::string(name) + ": {name: toy}")), HasSubstr("cannot be the name of a task")) << name;
  EXPECT_THAT(refused(part("a: {weight: 2}")),
              AllOf(HasSubstr("my.yaml:7"), HasSubstr("task.mixture.a.name: is not set")));
  EXPECT_THAT(refused(part("a: {name: mixture}")), HasSubstr("a mixture holds no mixture"));
  EXPECT_THAT(refused(part("a: {name: toy, mixture: {b: {name: toy}}}")),
              HasSubstr("unknown key 'mixture' in task.mixture.a; a mixture holds no mixture"));
  EXPECT_THAT(refused("task: {name: mixture}\n"), HasSubstr("task.name: is mixture, but task.mixture lists no task"));
  EXPECT_THAT(refused(kTwo, {"task.name=toy"}), HasSubstr("task.name: is toy, but task.mixture lists tasks"));
}

TEST(MixtureOfTasks, TheSchemaHasTheOptionsOfATaskUnderAnyName) {
  const nlohmann::json schema = nlohmann::json::parse(json_schema(mixture_defaults()));
  const nlohmann::json& task = schema.at("properties").at("task").at("properties");
  const nlohmann::json& mixture = task.at("mixture");
  EXPECT_FALSE(mixture.contains("properties"));
  EXPECT_TRUE(mixture.at("propertyNames").contains("pattern"));
  const nlohmann::json& part = mixture.at("additionalProperties");
  EXPECT_EQ(part.at("additionalProperties"), false);
  EXPECT_EQ(part.at("properties").at("most"), task.at("most"));
  EXPECT_FALSE(part.at("properties").contains("mixture"));
  EXPECT_FALSE(part.at("properties").at("name").contains("default"));
  EXPECT_THAT(markdown_reference(mixture_defaults()), HasSubstr("## task.mixture\n"));
}

}  // namespace
}  // namespace terse::configs
