// Tests how values are shown in messages.
#include "rl/tasks/messages.h"

#include <gtest/gtest.h>

namespace terse::rl {
namespace {

using nlohmann::json;

TEST(ShownJson, IsTheBeginningOfTheValue) {
  EXPECT_EQ(shown_json(json::parse(R"({"a": [1, null]})")), R"({"a":[1,null]})");
  EXPECT_EQ(shown_json(std::string(100, 'x')), "\"" + std::string(79, 'x') + "...");
}

TEST(ShownJson, DoesNotExhaustTheStack) {
  EXPECT_EQ(shown_json(json::parse(std::string(1000000, '[') + std::string(1000000, ']'))),
            "a value that nests too deep");
}

}  // namespace
}  // namespace terse::rl
