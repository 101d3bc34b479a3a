// Tests what the JSON schema accepts beyond the types of values, which config_schema_test.cpp validates whole files
// with.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "configs/load.h"

namespace terse::configs {
namespace {

using nlohmann::json;

TEST(JsonSchema, ASectionMayHaveAllItsLinesCommentedOut) {
  const json schema = json::parse(json_schema({}));
  EXPECT_EQ(schema.at("type"), "object");
  const json& rl = schema.at("properties").at("rl");
  EXPECT_EQ(rl.at("type"), json({"object", "null"}));
  EXPECT_EQ(rl.at("properties").at("optimizer").at("type"), json({"object", "null"}));
  EXPECT_EQ(rl.at("properties").at("steps").at("type"), "integer");
  EXPECT_EQ(load_text("stages: [sft]\nsft: {steps: 1}\nrl:\n", "my.yaml").config.rl.steps, 0);
}

TEST(JsonSchema, EachOptionHasItsTypeDefaultAndRange) {
  const json schema = json::parse(json_schema({}));
  const auto option = [&](const char* section, const char* name) {
    json found = schema.at("properties").at(section).at("properties").at(name);
    EXPECT_FALSE(found.at("description").get<std::string>().empty()) << name;
    found.erase("description");
    return found;
  };
  EXPECT_EQ(option("model", "layers"), json({{"type", "integer"}, {"default", 3}, {"minimum", 1}, {"maximum", 1000}}));
  EXPECT_EQ(option("model", "norm_eps"),
            json({{"type", "number"}, {"default", 1e-6}, {"exclusiveMinimum", 0}, {"maximum", 1}}));
  EXPECT_EQ(option("model", "qk_norm"), json({{"type", "boolean"}, {"default", false}}));
  EXPECT_EQ(option("run", "device"),
            json({{"type", "string"}, {"default", "auto"}, {"enum", {"auto", "cpu", "cuda"}}}));
}

}  // namespace
}  // namespace terse::configs
