// Tests that files and overrides may use the older names of options, and that the hash of a configuration is the one of
// older builds.
#include "configs/yaml/renamed_options.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/sha256.h"
#include "configs/fields.h"
#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Use {
  std::string before;  // an older path of an option
  std::string now;
  std::string value;  // another value than the default
};
const std::vector<Use> kUses = {{"model.width", "model.hidden_size", "96"},
                                {"model.ffn_width", "model.intermediate_size", "256"},
                                {"model.head_width", "model.head_dim", "16"},
                                {"model.context", "model.max_seq_len", "512"},
                                {"pretrain.context", "pretrain.seq_len", "128"},
                                {"rl.replay", "rl.demonstrations", "7"},
                                {"rl.replay_weight", "rl.demonstration_weight", "0.5"},
                                {"rl.practice.updates", "rl.student.updates", "1"},
                                {"rl.practice.traces", "rl.student.traces", "2"},
                                {"rl.practice.lr", "rl.student.lr", "0.25"}};

// Returns kValid and one more line: "rl: {practice: {lr: 0.25}}".
std::string file_with(const std::string& path, const std::string& value) {
  std::string line = value;
  for (std::string rest = path; !rest.empty(); rest = parent_of(rest)) {
    const std::string key(last_of(rest));
    line = parent_of(rest).empty() ? fmt::format("{}: {}", key, line) : fmt::format("{{{}: {}}}", key, line);
  }
  return kValid + line + "\n";
}

// Sets the options by their older names in overrides.
RunConfig all_changed() {
  std::vector<std::string> overrides;
  for (const Use& use : kUses) overrides.push_back(use.before + "=" + use.value);
  return accepted(kValid, overrides);
}

TEST(RenamedOptions, EachStandsForAnOptionOrASectionInTheSamePlace) {
  RunConfig config;
  const FieldTable table = list_fields(config);
  for (const auto& [before, now] : kRenamedOptions) {
    EXPECT_TRUE(table.find(now) || table.is_section(now)) << now;
    EXPECT_FALSE(table.find(before) || table.is_section(before)) << before;
    EXPECT_EQ(parent_of(before), parent_of(now)) << "apply_renamed() looks for the present name beside the older one";
    EXPECT_EQ(current_path(before), now);
    EXPECT_EQ(first_path(now), before);
    EXPECT_TRUE(std::any_of(kUses.begin(), kUses.end(),
                            [&, name = before](const Use& use) { return use.before.starts_with(name); }))
        << before << " has no test";
  }
}

TEST(RenamedOptions, OnlyWholeNamesAreReplaced) {
  EXPECT_EQ(current_path("rl.practice.lr"), "rl.student.lr");
  EXPECT_EQ(first_path("rl.student.lr"), "rl.practice.lr");
  for (const char* path : {"rl.practices.lr", "rl.replay_weights", "model.widths", "x.model.width", "width", ""}) {
    EXPECT_EQ(current_path(path), path);
  }
}

TEST(RenamedOptions, AnOlderNameInAFileSetsTheOption) {
  for (const auto& [before, now, value] : kUses) {
    const LoadedConfig loaded = loosely_loaded(file_with(before, value));
    EXPECT_EQ(values(loaded.config).at(now), value) << before;
    EXPECT_EQ(loaded.origin.at(now), "my.yaml:4");
    const bool section = before.starts_with("rl.practice");
    EXPECT_THAT(loaded.warnings, ElementsAre(section ? "my.yaml:4: rl.practice is now called rl.student"
                                                     : "my.yaml:4: " + before + " is now called " + now));
    EXPECT_TRUE(loaded.config == accepted(file_with(now, value)));
  }
}

TEST(RenamedOptions, AnOlderNameInAnOverrideSetsTheOption) {
  for (const auto& [before, now, value] : kUses) {
    const std::string text = before + "=" + value;
    const LoadedConfig loaded = loosely_loaded(kValid, {text});
    EXPECT_EQ(values(loaded.config).at(now), value) << before;
    EXPECT_EQ(loaded.origin.at(now), "--set");
    EXPECT_THAT(loaded.warnings, ElementsAre("--set '" + text + "': " + before + " is now called " + now));
  }
}

TEST(RenamedOptions, TheNearerSourceWinsWhateverTheNames) {
  support::TemporaryFolder folder;
  write(folder.path() / "base.yaml", kValid + "model: {hidden_size: 32}\nrl: {practice: {updates: 1, traces: 2}}\n");
  const std::filesystem::path path =
      write(folder.path() / "my.yaml", "base: base.yaml\nmodel: {width: 48}\nrl: {student: {updates: 3}}\n");
  const LoadedConfig loaded = load(path.string());
  EXPECT_EQ(loaded.config.model.hidden_size, 48);
  EXPECT_EQ(loaded.config.rl.student.updates, 3);
  EXPECT_EQ(loaded.config.rl.student.traces, 2);
  EXPECT_EQ(loaded.warnings.size(), 2u);
  EXPECT_EQ(load(path.string(), {"model.width=64", "model.hidden_size=80"}).config.model.hidden_size, 80);
}

TEST(RenamedOptions, PresentNamesGiveNoWarning) {
  for (const Use& use : kUses) {
    EXPECT_THAT(loosely_loaded(file_with(use.now, use.value), {use.now + "=" + use.value}).warnings, IsEmpty());
  }
}

TEST(RenamedOptions, BothNamesInOneFileAreAMistake) {
  EXPECT_EQ(refusal(kValid + "model:\n  hidden_size: 64\n  width: 96\n"),
            "my.yaml:6:3: model.width and model.hidden_size are both set, but model.width is the older name of "
            "model.hidden_size; keep only model.hidden_size");
  EXPECT_THAT(refusal(kValid + "rl: {practice: {updates: 1}, student: {traces: 2}}\n"),
              HasSubstr("rl.practice and rl.student are both set"));
}

TEST(RenamedOptions, MistakesInTheirValuesAndKeysAreFound) {
  EXPECT_EQ(refusal(kValid + "model: {width: -64}\n"),
            "my.yaml:4:16: model.hidden_size: -64 is out of range: expected from 1 to 131072");
  EXPECT_THAT(refusal(kValid + "rl: {practice: {update: 1}}\n"), HasSubstr("did you mean rl.student.updates?"));
  EXPECT_THAT(refusal(kValid + "rl: {practice: 3}\n"), HasSubstr("rl.student is a section"));
  EXPECT_THAT(refusal(kValid + "model.width: 96\n"),
              AllOf(HasSubstr("unknown key 'model.width'"), HasSubstr("model: {hidden_size: ...}")));
  EXPECT_THAT(refusal(kValid, {"model.width=x"}), HasSubstr("model.hidden_size: expected a whole number"));
  EXPECT_THAT(refusal(kValid + "engine: {width: 96}\n"), HasSubstr("did you mean model.hidden_size?"));
}

TEST(RenamedOptions, AConfigurationSavedUnderOlderNamesIsReadBack) {
  std::string yaml = to_yaml(all_changed());
  const auto rename = [&](const std::string& now, const std::string& before) {
    const size_t at = yaml.find(" " + now + ":");
    ASSERT_NE(at, std::string::npos) << now;
    yaml.replace(at + 1, now.size(), before);
  };
  for (const auto& [before, now] : kRenamedOptions) rename(std::string(last_of(now)), std::string(last_of(before)));
  EXPECT_TRUE(load_saved(yaml, "step-1/config.yaml", toy_defaults()) == all_changed());
}

TEST(RenamedOptions, TheHashIsMadeFromTheFirstNames) {
  std::string text;
  const RunConfig config = all_changed();
  RunConfig copy = config;
  for (const Field& field : list_fields(copy).fields) {
    // These count only when they are set.
    const bool unset = field.path == "model.init" || field.path.starts_with("model.rope_scaling.") ||
                       field.rule.counts_when_set;
    if (field.rule.changes_numbers && !unset)
      text += first_path(field.path) + "=" + values(config).at(field.path) + "\n";
  }
  EXPECT_THAT(text, AllOf(HasSubstr("model.width=96\n"), HasSubstr("rl.practice.lr=0.25\n")));
  EXPECT_EQ(numerics_hash(config), sha256_bytes(text).substr(0, 16));
}

}  // namespace
}  // namespace terse::configs
