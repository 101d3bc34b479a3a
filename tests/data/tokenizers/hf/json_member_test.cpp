// Tests that only one member changes, whatever strings and brackets are around it.
#include "data/tokenizers/hf/json_member.h"

#include "tests/data/support.h"

namespace terse::data {
namespace {

TEST(JsonMember, AddsAndReplaces) {
  EXPECT_EQ(with_member(R"({"a":1})", {"b"}, "2"), R"({"b":2,"a":1})");
  EXPECT_EQ(with_member("{ }", {"b"}, "2"), R"({"b":2 })");
  EXPECT_EQ(with_member(R"({"a":1, "b" : [1,{"b":3}] ,"c":0})", {"b"}, "2"), R"({"a":1, "b" : 2 ,"c":0})");
  EXPECT_EQ(with_member(R"({"m":{"x":"}\"{","t":{}},"t":9})", {"m", "t"}, "1"), R"({"m":{"x":"}\"{","t":1},"t":9})");
  EXPECT_EQ(with_member(R"({"x":"\\","m":{}})", {"m", "t"}, "1"), R"({"x":"\\","m":{"t":1}})");
  EXPECT_EQ(with_member("{\"x\":-1.5e3,\n\"y\":null,\"m\": {\"t\" :true }}", {"m", "t"}, "[]"),
            "{\"x\":-1.5e3,\n\"y\":null,\"m\": {\"t\" :[] }}");
  EXPECT_EQ(with_member(R"({"\u0074":5})", {"t"}, "1"), R"({"\u0074":1})") << "the same key, written otherwise";
}

TEST(JsonMember, APathThatIsNotThereIsACallersMistake) {
  EXPECT_THROW(with_member("{}", {"m", "t"}, "1"), std::invalid_argument);
  EXPECT_THROW(with_member("[]", {"t"}, "1"), std::invalid_argument);
  EXPECT_THROW(with_member("{\"a", {"t"}, "1"), std::invalid_argument);
  EXPECT_THROW(with_member("{}", {}, "1"), std::invalid_argument);
}

}  // namespace
}  // namespace terse::data
