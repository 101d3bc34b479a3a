// Tests the formats of a line, what of it is learned, and which lines are refused.
#include "data/conversations/conversation_line.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/char_tokenizer.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

constexpr const char* kTemplate =
    "{% for m in messages %}{{ '<' + m.role + '>' + m.content + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";

ChatFormat format_of(const std::string& text = "") {
  return ChatFormat(std::make_shared<ByteTokenizer>(), text, "template", {});
}

EncodedConversation encode(const std::string& line, const ChatFormat& format = format_of()) {
  return encode_line(Json::parse(line), format);
}

// The text of a line as the model sees it, "$" for eos, and that of its learned tokens.
std::pair<std::string, std::string> texts(const std::string& line, const ChatFormat& format = format_of()) {
  const auto [tokens, learned] = encode(line, format).encoded;
  EXPECT_EQ(tokens.size(), learned.size());
  std::pair<std::string, std::string> result;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string text = tokens[i] == ByteTokenizer::kEos ? "$" : format.tokenizer().decode({tokens[i]});
    result.first += text;
    if (learned[i]) result.second += text;
  }
  return result;
}

using Pair = std::pair<std::string, std::string>;

constexpr const char* kTwoTurns =
    R"([{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "+1"},
        {"role": "assistant", "content": "3"}])";

TEST(ConversationLine, EveryTurnOfTheAssistantIsLearned) {
  const std::string line = std::string("{\"messages\": ") + kTwoTurns + "}";
  EXPECT_EQ(texts(line), Pair("1+12$+13$", "2$3$"));
  EXPECT_EQ(texts(line, format_of(kTemplate)), Pair("<user>1+1\n<assistant>2\n<user>+1\n<assistant>3$", "23$"))
      << "this template ends no turn, so eos ends the last one";
}

TEST(ConversationLine, TheEndOfTheLastTurnIsLearnedOnce) {
  const auto ended = [](const std::string& end) {
    return format_of("{% for m in messages %}{{ m.content }}{% endfor %}" + end);
  };
  const std::string line = R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})";
  EXPECT_EQ(texts(line, ended("")), Pair("qa$", "a$"));
  EXPECT_EQ(texts(line, ended(" [end]")), Pair("qa$", "a$")) << "eos takes the place of what follows the answer";
}

TEST(ConversationLine, OfAPromptOnlyTheCompletionIsLearned) {
  const std::string line = R"({"prompt": [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"},
      {"role": "user", "content": "+1"}], "completion": [{"role": "assistant", "content": "3"}]})";
  EXPECT_EQ(texts(line), Pair("1+12$+13$", "3$"));
  EXPECT_EQ(texts(line, format_of(kTemplate)), Pair("<user>1+1\n<assistant>2\n<user>+1\n<assistant>3$", "3$"));
}

// Templates of thinking models drop the thinking of earlier turns.
TEST(ConversationLine, APromptThatTheTemplateChangesIsRefused) {
  const ChatFormat format = format_of(
      "{% for m in messages %}{{ '<' + m.role + '>' + (m.content if loop.last else 'x') + '\\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}");
  const std::string line = R"({"prompt": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}],
      "completion": [{"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}]})";
  EXPECT_THAT(message_of<DataError>([&] { encode(line, format); }), HasSubstr("in another way"));
}

TEST(ConversationLine, PlainTextsTakeNoTemplate) {
  for (const ChatFormat& format : {format_of(), format_of(kTemplate)}) {
    EXPECT_EQ(texts(R"({"prompt": "1+1=", "completion": " 2"})", format), Pair("1+1= 2$", " 2$"));
  }
}

TEST(ConversationLine, TheFirstTokenIsNeverLearned) {
  EXPECT_EQ(texts(R"({"messages": [{"role": "assistant", "content": "ab"}]})"), Pair("ab$", "b$"));
}

TEST(ConversationLine, ToolsMayBeTextAndReachTheTemplate) {
  const ChatFormat format = format_of("{{ tools[0].name if tools else '-' }}" + std::string(kTemplate));
  const std::string rest =
      R"(, "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})";
  const Pair expected("f<user>q\n<assistant>a$", "a$");
  EXPECT_EQ(texts(R"({"tools": [{"name": "f"}])" + rest, format), expected);
  EXPECT_EQ(texts(R"({"tools": "[{\"name\": \"f\"}]")" + rest, format), expected);
  EXPECT_EQ(texts(R"({"tools": null)" + rest, format).first[0], '-');
}

std::string refusal(const std::string& line) {
  return message_of<DataError>([&] { encode(line); });
}

TEST(ConversationLine, WrongLinesAreRefusedByTheFieldThatIsWrong) {
  EXPECT_THAT(refusal("{}"), HasSubstr("expected \"messages\""));
  EXPECT_THAT(refusal(R"({"text": "a"})"), HasSubstr("expected \"messages\""));
  EXPECT_THAT(refusal(R"({"messages": null, "prompt": "a"})"), HasSubstr("expected \"messages\""));
  EXPECT_THAT(refusal(R"({"messages": []})"), HasSubstr("the list is empty"));
  EXPECT_THAT(refusal(R"({"messages": "a"})"), HasSubstr("messages"));
  EXPECT_THAT(refusal(R"({"messages": [{"role": "user", "content": "a"}]})"), HasSubstr("is of user"));
  EXPECT_THAT(refusal(R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": 5}]})"),
              HasSubstr("messages[1].content"));
  EXPECT_THAT(refusal(R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]})"),
              HasSubstr("the last message is empty"));
  EXPECT_THAT(refusal(R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant"}]})"),
              HasSubstr("messages[1].content"));
  EXPECT_THAT(refusal(R"({"prompt": "a", "completion": ""})"), HasSubstr("completion: the text is empty"));
  EXPECT_THAT(refusal(R"({"prompt": "", "completion": "a"})"), HasSubstr("prompt: the text is empty"));
  EXPECT_THAT(refusal(R"({"prompt": "a", "completion": [{"role": "assistant", "content": "b"}]})"),
              HasSubstr("two texts or as two lists"));
  EXPECT_THAT(refusal(R"({"prompt": [], "completion": [{"role": "assistant", "content": "b"}]})"),
              HasSubstr("prompt: "));
  EXPECT_THAT(refusal(R"({"prompt": 1, "completion": 2})"), HasSubstr("two texts or as two lists"));
  const std::string messages =
      R"("messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])";
  EXPECT_THAT(refusal("{" + messages + R"(, "completion": "a"})"), HasSubstr("both"));
  EXPECT_THAT(refusal("{" + messages + R"(, "tools": "nothing"})"), HasSubstr("tools: the text is not JSON"));
  EXPECT_THAT(refusal("{" + messages + R"(, "tools": [1]})"), HasSubstr("tools[0]"));
  EXPECT_THAT(refusal("{" + messages + R"(, "chat_template_kwargs": {"a": 1}})"), HasSubstr("chat_template_kwargs"));
  EXPECT_THAT(refusal(R"({"prompt": "a", "completion": "b", "tools": []})"), HasSubstr("tools"));
  EXPECT_NO_THROW(encode("{" + messages + R"(, "prompt": "a", "id": 3})")) << "other columns of data sets";
}

TEST(ConversationLine, ATextThatTheTokenizerCannotEncodeIsRefused) {
  const ChatFormat format(std::make_shared<CharTokenizer>(std::vector<char32_t>{'a', 'b'}), "", "template", {});
  EXPECT_THROW(encode(R"({"prompt": "a", "completion": "c"})", format), EncodeError);
}

TEST(ConversationLine, TheKeyIsThatOfTheContent) {
  const auto key = [](const std::string& line, const ChatFormat& format = format_of()) {
    return encode(line, format).key;
  };
  const std::string line = R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})";
  EXPECT_EQ(key(line), key(line, format_of(kTemplate)));
  EXPECT_EQ(key(line), key(R"({"id": 1, "messages": [{"content": "a", "role": "user", "name": null},
      {"content": "b", "role": "assistant"}], "tools": null})"));
  EXPECT_EQ(key(line), key(R"({"prompt": [{"role": "user", "content": "a"}],
      "completion": [{"role": "assistant", "content": "b"}]})"));
  EXPECT_NE(key(line),
            key(R"({"messages": [{"role": "user", "content": "b"}, {"role": "assistant", "content": "b"}]})"));
  EXPECT_NE(key(R"({"prompt": "ab", "completion": "c"})"), key(R"({"prompt": "a", "completion": "bc"})"));
}

}  // namespace
}  // namespace terse::data
