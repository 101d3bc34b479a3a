// Tests that the reader passes on every part of a document in order, and refuses what is not strict JSON.
#include "base/formats/strict_json.h"

#include <gmock/gmock.h>

#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::data_error;
using ::testing::StartsWith;

// Writes down what it is told.
class Recorder : public JsonEvents {
 public:
  std::string seen;
  void begin(bool is_object) override { seen += is_object ? "{" : "["; }
  void end() override { seen += "/"; }
  void key(std::string name) override { seen += name + ":"; }
  void value(JsonScalar scalar) override {
    switch (scalar.kind) {
      case JsonScalar::Kind::kNull:
        seen += "null ";
        break;
      case JsonScalar::Kind::kBoolean:
        seen += "boolean ";
        break;
      case JsonScalar::Kind::kWhole:
        seen += std::to_string(scalar.whole) + " ";
        break;
      case JsonScalar::Kind::kNumber:
        seen += "number ";
        break;
      case JsonScalar::Kind::kText:
        seen += "'" + scalar.text + "' ";
        break;
    }
  }
};

std::string read(std::string_view text, int max_depth = 8) {
  Recorder recorder;
  read_json_object(text, max_depth, "file", recorder);
  return recorder.seen;
}

TEST(StrictJson, PassesOnEverythingInOrder) {
  EXPECT_EQ(
      read(
          R"( {"a":[1,-1,0,18446744073709551615,18446744073709551616,1.0,-0],"b":{"c":null,"c":"\u00e9\n"},"d":true} )"),
      "{a:[1 number 0 18446744073709551615 number number number /b:{c:null c:'\u00e9\n' /d:boolean /");
  EXPECT_EQ(read("{}"), "{/");
}

TEST(StrictJson, TheDepthIsLimited) {
  EXPECT_EQ(read(R"({"a":[[]]})", 3), "{a:[[///");
  EXPECT_EQ(data_error([] { read(R"({"a":[[[]]]})", 3); }), "file: it is nested more than 3 levels deep");
  const std::string deep = "{\"a\":" + std::string(10'000'000, '[');
  EXPECT_EQ(data_error([&] { read(deep, 100); }), "file: it is nested more than 100 levels deep");
}

TEST(StrictJson, RefusesWhatIsNoObject) {
  for (const std::string text : {"[]", "1", "\"a\"", "null", "true", "-1", "1.5"}) {
    EXPECT_EQ(data_error([&] { read(text); }), "file: it is not a JSON object") << text;
  }
}

TEST(StrictJson, RefusesWhatIsNotJson) {
  for (const std::string text : {"",
                                 " ",
                                 "{",
                                 "{\"a\"",
                                 "{\"a\":",
                                 "{\"a\":1",
                                 "{\"a\":1,}",
                                 "{a:1}",
                                 "{'a':1}",
                                 "{\"a\":01}",
                                 "{\"a\":1}x",
                                 "{\"a\":1}{}",
                                 "{\"a\":nan}",
                                 "{\"a\":\"\n\"}",
                                 "{\"a\":\"\xFF\"}",
                                 "{\"a\":\"\\ud800\"}",
                                 "{\"a\":[1}",
                                 "{\"a\":1e999}",
                                 "{\"a\":1} // no",
                                 "{\"a\" 1}"}) {
    EXPECT_THAT(data_error([&] { read(text); }), StartsWith("file: it is not JSON: unexpected ")) << text;
  }
}

TEST(StrictJson, RefusesWhatTheParserWouldSkip) {
  using namespace std::string_view_literals;
  EXPECT_EQ(data_error([] { read("{}\0 more"sv); }), "file: it is not JSON: byte 2 is 0");
  EXPECT_EQ(data_error([] { read("\xEF\xBB\xBF{}"); }), "file: it begins with a byte order mark");
}

TEST(StrictJson, MessagesStayShort) {
  const std::string text = "{\"a\":\"" + std::string(1'000'000, 'x');
  EXPECT_LT(data_error([&] { read(text); }).size(), 300u);
}

}  // namespace
}  // namespace terse
