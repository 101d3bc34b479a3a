// Tests that messages are checked, and that every mistake is named with its field.
#include "data/chat/message.h"

#include <gmock/gmock.h>

#include "tests/data/chat/support.h"

namespace terse::data {
namespace {

using testing::HasSubstr;

std::string problem(const std::string& json) {
  return message_of<DataError>([&] { parse_messages(Json::parse(json), "a.jsonl:3: "); });
}

TEST(Message, KeepsTheFieldsAndTheirOrder) {
  const Conversation conversation = messages(R"([{"content": "x", "role": "user", "extra": [1, {"b": 2, "a": 1}]}])");
  ASSERT_EQ(conversation.size(), 1u);
  EXPECT_EQ(conversation[0].role, "user");
  EXPECT_EQ(conversation[0].fields.dump(), R"({"content":"x","role":"user","extra":[1,{"b":2,"a":1}]})");
}

TEST(Message, DropsFieldsThatAreNull) {
  const char* json = R"([{"role": "assistant", "content": null, "name": null, "tool_calls": [{"name": "f"}]}])";
  EXPECT_EQ(messages(json)[0].fields.dump(), R"({"role":"assistant","tool_calls":[{"name":"f"}]})");
}

// The order matters, because a template may print all fields.
TEST(Message, GivesTheThinkingItsOtherNames) {
  const auto named = [](const std::string& name) {
    return messages(("[{\"role\": \"assistant\", \"" + name + "\": \"r\", \"content\": \"c\"}]").c_str())[0]
        .fields.dump();
  };
  EXPECT_EQ(named("reasoning"),
            R"({"thinking":"r","role":"assistant","reasoning":"r","content":"c","reasoning_content":"r"})");
  EXPECT_EQ(named("reasoning_content"), R"({"thinking":"r","role":"assistant","reasoning_content":"r","content":"c"})");
  EXPECT_EQ(named("thinking"), R"({"thinking":"r","role":"assistant","content":"c","reasoning_content":"r"})");
}

TEST(Message, AcceptsPartsOfText) {
  EXPECT_NO_THROW(messages(R"([{"role": "user", "content": [{"type": "text", "text": "x"}]}])"));
  EXPECT_NO_THROW(messages(R"([{"role": "user", "content": []}])"));
}

TEST(Message, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(problem("5"), "a.jsonl:3: messages: expected a list, found 5");
  EXPECT_EQ(problem("[]"), "a.jsonl:3: messages: the list is empty");
  EXPECT_EQ(problem("[\"x\"]"), "a.jsonl:3: messages[0]: expected an object with 'role' and 'content', found \"x\"");
  EXPECT_EQ(problem(R"([{"content": "x"}])"), "a.jsonl:3: messages[0].role: is missing");
  EXPECT_EQ(problem(R"([{"role": null, "content": "x"}])"), "a.jsonl:3: messages[0].role: is missing");
  for (const char* role : {"\"\"", "\"User\"", "\"a b\"", "\"<|im_end|>\"", "\"1x\"", "5", "\"ü\"",
                           "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""}) {
    EXPECT_THAT(problem("[{\"role\": " + std::string(role) + ", \"content\": \"x\"}]"),
                HasSubstr("messages[0].role: expected a name such as system, user, assistant or tool"));
  }
  EXPECT_EQ(problem(R"([{"role": "user"}])"), "a.jsonl:3: messages[0].content: is missing");
  EXPECT_EQ(problem(R"([{"role": "user", "content": "x"}, {"role": "user", "content": 5}])"),
            "a.jsonl:3: messages[1].content: expected text or a list of parts, found 5");
  EXPECT_EQ(
      problem(R"([{"role": "user", "content": [{"type": "image", "url": "x"}]}])"),
      "a.jsonl:3: messages[0].content[0].type: expected \"text\", because terse trains on text only, found \"image\"");
  EXPECT_THAT(problem(R"([{"role": "user", "content": ["x"]}])"),
              HasSubstr("messages[0].content[0]: expected an object"));
  EXPECT_THAT(problem(R"([{"role": "user", "content": [{"type": "text"}]}])"),
              HasSubstr("messages[0].content[0].text: expected text, found null"));
  EXPECT_THAT(problem(R"([{"role": "user", "content": "", "name": 1}])"), HasSubstr("messages[0].name: expected text"));
  EXPECT_THAT(problem(R"([{"role": "a", "content": "", "reasoning_content": []}])"),
              HasSubstr("messages[0].reasoning_content: expected text, found []"));
}

TEST(Message, NamesWhatIsWrongInACall) {
  const auto call = [](const std::string& json) {
    return problem("[{\"role\": \"assistant\", \"tool_calls\": " + json + "}]");
  };
  EXPECT_THAT(call("{}"), HasSubstr("messages[0].tool_calls: expected a list"));
  EXPECT_THAT(call("[1]"), HasSubstr("messages[0].tool_calls[0]: expected an object"));
  EXPECT_THAT(call("[{}]"), HasSubstr("messages[0].tool_calls[0].name: expected a name, found null"));
  EXPECT_THAT(call("[{\"function\": 1}]"), HasSubstr("tool_calls[0].function: expected an object"));
  EXPECT_THAT(call("[{\"function\": {\"name\": \"\"}}]"), HasSubstr("tool_calls[0].function.name: expected a name"));
  EXPECT_THAT(call("[{\"name\": \"f\", \"arguments\": 5}]"),
              HasSubstr("tool_calls[0].arguments: expected an object or text, found 5"));
}

TEST(Message, RefusesWhatATemplateCannotHold) {
  EXPECT_THAT(problem(R"([{"role": "user", "content": "x", "n": 9223372036854775808}])"),
              HasSubstr("messages[0]: the number 9223372036854775808 does not fit into 64 bits"));
  std::string deep = "1";
  for (int i = 0; i < 70; ++i) deep = "[" + deep + "]";
  EXPECT_THAT(problem("[{\"role\": \"user\", \"content\": \"x\", \"n\": " + deep + "}]"),
              HasSubstr("is nested more than 64 deep"));
  Json invalid = Json::parse(R"([{"role": "user", "content": "x"}])");
  invalid[0]["content"] = "ab\xff";
  EXPECT_THAT(message_of<DataError>([&] { parse_messages(invalid, ""); }),
              HasSubstr("messages[0]: the text is not UTF-8 at byte 2"));
  invalid[0]["content"] = "";
  invalid[0]["k\xC0"] = 1;
  EXPECT_THAT(message_of<DataError>([&] { parse_messages(invalid, ""); }), HasSubstr("is not UTF-8 at byte 1"));
}

TEST(Message, ShortensWhatItShows) {
  const std::string text = problem("[{\"role\": \"" + std::string(5000, 'A') + "\", \"content\": \"\"}]");
  EXPECT_LT(text.size(), 200u);
}

TEST(Message, ChecksTools) {
  EXPECT_NO_THROW(check_tools(Json::parse(R"([{"name": "f"}])"), ""));
  EXPECT_EQ(message_of<DataError>([] { check_tools(Json::parse("[{}, 1]"), "x: "); }),
            "x: tools[1]: expected an object, found 1");
}

}  // namespace
}  // namespace terse::data
