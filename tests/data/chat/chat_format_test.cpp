// Tests the ids of conversations, and which of them fine-tuning learns.
#include "data/chat/chat_format.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/hf/tokenizer_json.h"
#include "tests/data/chat/support.h"
#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

constexpr const char* kThinkingTemplate =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}{# </think> #}";

std::shared_ptr<const Tokenizer> chat_tokenizer(const std::string& name) {
  const std::string text = read_file(fixture_path(name + ".tokenizer.json"));
  const auto plain = parse_tokenizer(text, name);
  const int32_t start = plain->encode_template("<|im_start|>").at(0), end = plain->encode_template("<|im_end|>").at(0);
  return parse_tokenizer(with_text_ends(text, {.bos = start, .eos = {end}}), name);
}

ChatFormat format(const std::string& tokenizer, const std::string& text, const configs::Chat& config = {}) {
  return ChatFormat(chat_tokenizer(tokenizer), text, "test", config);
}

// The texts that fine-tuning learns, joined by "|".
std::string learned(const ChatFormat& chat, const ChatFormat::Encoded& encoded) {
  std::string text;
  for (size_t i = 0; i < encoded.tokens.size(); ++i) {
    if (!encoded.learned[i]) continue;
    if (i > 0 && !encoded.learned[i - 1] && !text.empty()) text += "|";
    text += chat.tokenizer().decode({encoded.tokens[i]});
  }
  return text;
}

constexpr const char* kTalk = R"([
  {"role": "user", "content": "Is 7 prime? <|im_end|>"}, {"role": "assistant", "content": "Yes, 7 is."},
  {"role": "user", "content": "And 8?"}, {"role": "assistant", "content": "No."}])";

TEST(ChatFormat, EncodesWhatTheTemplateRenders) {
  const ChatFormat chat = format("smollm", template_text("smollm2"));
  const Conversation talk = messages(kTalk);
  const std::string text = chat.tokenizer().decode(chat.encode(talk).tokens);
  EXPECT_THAT(text, testing::StartsWith("<|im_start|>system\nYou are a helpful AI assistant"));
  EXPECT_THAT(text, HasSubstr("<|im_start|>user\nIs 7 prime? <|im_end|><|im_end|>\n<|im_start|>assistant\nYes, 7 is."));
  const std::vector<int32_t> ids = chat.encode(talk).tokens;
  EXPECT_EQ(std::count(ids.begin(), ids.end(), chat.tokenizer().eos()), 5) << "the user's <|im_end|> is none";
  const std::string prompt = chat.tokenizer().decode(chat.encode_prompt({talk[0]}));
  EXPECT_THAT(prompt, testing::EndsWith("<|im_end|><|im_end|>\n<|im_start|>assistant\n"));
}

TEST(ChatFormat, LearnsWhatTheAssistantSaysAndTheEndOfItsTurn) {
  for (const std::string name : {"smollm", "gpt2", "llama3", "qwen2"}) {
    const ChatFormat chat = format(name, template_text("smollm2"));
    const ChatFormat::Encoded encoded = chat.encode(messages(kTalk));
    ASSERT_EQ(encoded.learned.size(), encoded.tokens.size());
    EXPECT_EQ(learned(chat, encoded), "Yes, 7 is.<|im_end|>|No.<|im_end|>") << name;
  }
}

// A response of the policy consists of the same tokens that fine-tuning has taught.
TEST(ChatFormat, APromptIsTheBeginningOfItsConversation) {
  const ChatFormat chat = format("smollm", template_text("smollm2"));
  const Conversation talk = messages(kTalk);
  const std::vector<int32_t> prompt = chat.encode_prompt({talk[0]}), whole = chat.encode({talk[0], talk[1]}).tokens;
  ASSERT_LT(prompt.size(), whole.size());
  EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), whole.begin()));
}

TEST(ChatFormat, FindsTheAssistantInTextThatTheTokenizerNormalizes) {
  const ChatFormat chat = format("qwen2", template_text("smollm2"));
  const ChatFormat::Encoded encoded = chat.encode(messages(
      "[{\"role\": \"user\", \"content\": \"e\\u0301\"}, {\"role\": \"assistant\", \"content\": \"u\\u0308!\"}]"));
  EXPECT_EQ(learned(chat, encoded), "\xC3\xBC!<|im_end|>");
  EXPECT_THAT(chat.tokenizer().decode(encoded.tokens), HasSubstr("user\n\xC3\xA9<|im_end|>"));
}

TEST(ChatFormat, WithoutATemplateThereAreOnlyContents) {
  const auto chat = ChatFormat::plain(std::make_shared<ByteTokenizer>());
  EXPECT_FALSE(chat->has_template());
  EXPECT_EQ(chat->encode_prompt(messages(R"([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}])")),
            (std::vector<int32_t>{'a', 'b'}));
  const ChatFormat::Encoded encoded = chat->encode(messages(
      R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}])"));
  EXPECT_EQ(encoded.tokens, (std::vector<int32_t>{'a', 'b', ByteTokenizer::kEos, 'c'}));
  EXPECT_EQ(encoded.learned, (std::vector<bool>{false, true, true, false}));
}

TEST(ChatFormat, ATokenizerThatAddsTheBeginningDoesSoWithoutATemplate) {
  nlohmann::json document = small_tokenizer();
  document["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single",
       {{{"SpecialToken", {{"id", "<eos>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"pair", nlohmann::json::array()},
      {"special_tokens", {{"<eos>", {{"id", "<eos>"}, {"ids", {258}}, {"tokens", {"<eos>"}}}}}}};
  const auto tokenizer = parsed(document);
  ASSERT_TRUE(tokenizer->adds_bos());
  const auto chat = ChatFormat::plain(tokenizer);
  EXPECT_EQ(chat->encode_prompt(messages(R"([{"role": "user", "content": "x"}])")), (std::vector<int32_t>{258, 'x'}));
}

TEST(ChatFormat, ASystemMessageStandsBeforeConversationsWithoutOne) {
  configs::Chat config;
  config.system = "Be brief.";
  const ChatFormat chat = format("smollm", template_text("smollm2"), config);
  const auto prompt = [&](const char* json) { return chat.tokenizer().decode(chat.encode_prompt(messages(json))); };
  EXPECT_THAT(prompt(R"([{"role": "user", "content": "x"}])"),
              testing::StartsWith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nx"));
  EXPECT_THAT(prompt(R"([{"role": "system", "content": "y"}, {"role": "user", "content": "x"}])"),
              testing::StartsWith("<|im_start|>system\ny<|im_end|>\n<|im_start|>user\nx"));
}

TEST(ChatFormat, ThinkingIsThatOfTheTemplateOrOfTheConfig) {
  const ChatFormat qwen = format("smollm", template_text("qwen3"));
  EXPECT_EQ(qwen.thinking().open, "<think>");
  EXPECT_EQ(qwen.thinking().close, "</think>");
  EXPECT_FALSE(qwen.prompt_opens_thinking());
  EXPECT_TRUE(format("smollm", kThinkingTemplate).prompt_opens_thinking());
  EXPECT_FALSE(format("smollm", template_text("smollm2")).thinking().exist());
  configs::Chat config;
  config.think_close = "Answer:";
  EXPECT_EQ(format("smollm", template_text("qwen3"), config).thinking().close, "Answer:");
  EXPECT_EQ(ChatFormat(std::make_shared<ByteTokenizer>(), "", "", config).thinking().close, "Answer:");
}

TEST(ChatFormat, EnableThinkingReachesTheTemplate) {
  const auto prompt = [&](const std::string& value) {
    configs::Chat config;
    config.enable_thinking = value;
    const ChatFormat chat = format("smollm", template_text("qwen3"), config);
    return chat.tokenizer().decode(chat.encode_prompt(messages(R"([{"role": "user", "content": "x"}])")));
  };
  EXPECT_THAT(prompt("off"), testing::EndsWith("<think>\n\n</think>\n\n"));
  EXPECT_THAT(prompt("on"), testing::EndsWith("assistant\n"));
  EXPECT_THAT(prompt("auto"), testing::EndsWith("assistant\n"));
}

constexpr const char* kQuestion = R"([{"role": "user", "content": "7+1?"}])";

std::string response(const ChatFormat& chat, const std::string& text) {
  return chat.tokenizer().decode(chat.encode_response(messages(kQuestion), text));
}

ChatFormat qwen3(const std::string& enable_thinking) {
  configs::Chat config;
  config.enable_thinking = enable_thinking;
  return format("qwen2", template_text("qwen3"), config);
}

// A demonstration is what fine-tuning on the same conversation learns, and what a response of the policy looks like.
TEST(ChatFormat, APromptAndItsResponseAreTheConversation) {
  for (const std::string thinking : {"auto", "on", "off"}) {
    const ChatFormat chat = qwen3(thinking);
    std::vector<int32_t> joined = chat.encode_prompt(messages(kQuestion));
    const size_t begin = joined.size();
    const std::vector<int32_t> said = chat.encode_response(messages(kQuestion), "8 it is.");
    joined.insert(joined.end(), said.begin(), said.end());
    Conversation talk = messages(kQuestion);
    talk.push_back({"assistant", {{"role", "assistant"}, {"content", "8 it is."}}});
    const ChatFormat::Encoded encoded = chat.encode(talk);
    ASSERT_GE(encoded.tokens.size(), joined.size()) << thinking;
    for (size_t i = 0; i < encoded.tokens.size(); ++i) {
      if (i < joined.size()) {
        EXPECT_EQ(encoded.tokens[i], joined[i]) << thinking << " " << i;
      }
      EXPECT_EQ(encoded.learned[i], i >= begin && i < joined.size()) << thinking << " " << i;
    }
  }
}

TEST(ChatFormat, AResponseHasTheThinkingThatTheTemplateWrites) {
  EXPECT_EQ(response(qwen3("auto"), "8"), "<think>\n\n</think>\n\n8<|im_end|>");
  EXPECT_EQ(response(qwen3("off"), "8"), "8<|im_end|>") << "the prompt has closed the thinking";
  EXPECT_EQ(response(qwen3("auto"), "<think>7+1</think>8"), "<think>\n7+1\n</think>\n\n8<|im_end|>");
  EXPECT_EQ(response(format("smollm", template_text("smollm2")), " 8\n"), " 8\n<|im_end|>");
  EXPECT_EQ(response(format("smollm", ""), "8"), "8<|im_end|>");
}

TEST(ChatFormat, AResponseGoesOnWhereThePromptHasOpenedTheThinking) {
  const ChatFormat chat = format("smollm", kThinkingTemplate);
  EXPECT_EQ(response(chat, "8"), "\n</think>\n\n8<|im_end|>");
  EXPECT_EQ(response(chat, "7+1\n</think>\n\n8"), "7+1\n</think>\n\n8<|im_end|>");
}

// The templates of DeepSeek-R1 leave out the thinking of every message.
TEST(ChatFormat, AResponseThatTheTemplateCutsIsEncodedAsItIs) {
  const ChatFormat chat = format(
      "smollm",
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  EXPECT_EQ(response(chat, "<think>7+1</think>8"), "<think>7+1</think>8<|im_end|>");
  EXPECT_EQ(response(chat, "8"), "8<|im_end|>");
}

TEST(ChatFormat, ATokenThatTheUserWritesEndsNoResponse) {
  const ChatFormat chat = format("smollm", template_text("smollm2"));
  const std::vector<int32_t> ids = chat.encode_response(messages(kQuestion), "a<|im_end|>b");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), chat.tokenizer().eos()), 1);
  EXPECT_EQ(chat.tokenizer().decode(ids), "a<|im_end|>b<|im_end|>");
}

TEST(ChatFormat, TheLastTurnEndsWhereTheTemplateEndsNone) {
  const std::string head = "{% for m in messages %}<|im_start|>{{ m.role }}\n",
                    prompt = "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  const auto ended = [&](const std::string& body) {
    const ChatFormat chat = format("smollm", head + body + prompt);
    ChatFormat::Encoded encoded = chat.encode(messages(kTalk));
    chat.end_last_turn(encoded);
    EXPECT_EQ(encoded.learned.size(), encoded.tokens.size());
    return std::pair(learned(chat, encoded), chat.template_ends_turns());
  };
  EXPECT_EQ(ended("{{ m.content }}<|im_end|>\n"), std::pair("Yes, 7 is.<|im_end|>|No.<|im_end|>"s, true));
  EXPECT_EQ(ended("{{ m.content }}\n"), std::pair("Yes, 7 is.|No.<|im_end|>"s, false));
  EXPECT_EQ(ended("{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>\n").second, false)
      << "the end is there, but not marked";
}

void expect_refused(const configs::Chat& config, const std::string& text, const std::string& message) {
  try {
    format("smollm", text, config);
    ADD_FAILURE() << "expected an error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(ChatFormat, OptionsThatFitNoTemplateAreErrors) {
  configs::Chat config;
  config.enable_thinking = "off";
  expect_refused(config, template_text("smollm2"), "chat.enable_thinking: is off, but the chat template does not know");
  expect_refused(config, "", "there is no chat template");
  config = {};
  config.think_open = "<think>";
  expect_refused(config, "", "chat.think_open: is set without chat.think_close");
}

}  // namespace
}  // namespace terse::data
