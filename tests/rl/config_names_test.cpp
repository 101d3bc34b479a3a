// configs/ is a layer below rl/ and cannot include its tables, so it repeats their names. These tests compare the two
// lists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "configs/load.h"
#include "rl/compression/length_penalty.h"
#include "rl/tasks/tokenized_task.h"
#include "rl/update/advantage.h"
#include "rl/update/policy_loss.h"

namespace terse::rl {
namespace {

using Names = std::vector<std::string>;
using testing::UnorderedElementsAreArray;

// The schema of a dotted key.
nlohmann::json schema_of(const std::string& key) {
  nlohmann::json schema = nlohmann::json::parse(configs::json_schema(default_config()));
  std::string path = "/properties/";
  for (const char c : key) path += c == '.' ? "/properties/" : std::string(1, c);
  return schema.at(nlohmann::json::json_pointer(path));
}

TEST(ConfigNames, EveryChoiceOfTheConfigIsInItsTableAndTheOtherWayRound) {
  EXPECT_THAT(schema_of("rl.penalty.kind").at("enum").get<Names>(), UnorderedElementsAreArray(penalty_names()));
  EXPECT_THAT(schema_of("rl.advantage_norm").at("enum").get<Names>(),
              UnorderedElementsAreArray(advantage_norm_names()));
  EXPECT_THAT(schema_of("rl.loss").at("enum").get<Names>(), UnorderedElementsAreArray(policy_loss_names()));
}

TEST(ConfigNames, DeclaredFormsAreThoseOfTheDemonstrations) {
  std::set<std::string> forms;
  for (const std::string& name : tasks_with_tokenizer()) {  // those of other tasks have no shares to choose
    configs::Task config = default_config().task;
    config.name = name;
    for (const std::string& form : open_task(config, 1)->forms()) forms.insert(form);
  }
  EXPECT_THAT(schema_of("task.forms").at("propertyNames").at("enum").get<Names>(), UnorderedElementsAreArray(forms));
}

}  // namespace
}  // namespace terse::rl
