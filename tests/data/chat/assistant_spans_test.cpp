// Tests which bytes the assistant is taken to have said, for templates that do not mark them.
#include "data/chat/assistant_spans.h"

#include <gmock/gmock.h>

#include "tests/data/chat/support.h"

namespace terse::data {
namespace {

using testing::ElementsAre;

std::vector<std::string> said(const ChatTemplate& chat, const char* json, const RenderOptions& options = {}) {
  const RenderedChat rendered = chat.render(messages(json), options);
  return texts(rendered.text, rendered.assistant);
}

TEST(AssistantSpans, HoldTheAnswerAndTheTokenThatEndsIt) {
  EXPECT_THAT(said(chat_template("smollm2"), R"([{"role": "user", "content": "q"},
      {"role": "assistant", "content": " a\n"}, {"role": "user", "content": "<|im_end|>"},
      {"role": "assistant", "content": "b<|im_end|>c"}])"),
              ElementsAre(" a\n<|im_end|>", "b<|im_end|>c<|im_end|>"));
}

TEST(AssistantSpans, HoldOnlyTheEndOfAnEmptyAnswer) {
  EXPECT_THAT(said(chat_template("smollm2"), R"([{"role": "user", "content": ""},
      {"role": "assistant", "content": ""}, {"role": "assistant", "content": ""}, {"role": "user", "content": ""}])"),
              ElementsAre("<|im_end|>", "<|im_end|>"));
}

TEST(AssistantSpans, AreEmptyWithoutAnAssistant) {
  RenderOptions options;
  options.add_generation_prompt = true;
  EXPECT_THAT(said(chat_template("smollm2"), R"([{"role": "user", "content": "assistant"}])", options), ElementsAre());
}

TEST(AssistantSpans, HoldTheThinkingThatTheModelHasToWrite) {
  const char* conversation = R"([{"role": "user", "content": "q"},
      {"role": "assistant", "reasoning_content": "why", "content": "a"}, {"role": "user", "content": "q"},
      {"role": "assistant", "reasoning_content": "so", "content": "b"}])";
  EXPECT_THAT(said(chat_template("qwen3"), conversation),
              ElementsAre("a<|im_end|>", "<think>\nso\n</think>\n\nb<|im_end|>"))
      << "the template leaves out the thinking of earlier turns";
}

TEST(AssistantSpans, LeaveOutWhatThePromptWritesWithoutThinking) {
  const char* conversation = R"([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"},
      {"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}])";
  EXPECT_THAT(said(chat_template("qwen3"), conversation),
              ElementsAre("a<|im_end|>", "<think>\n\n</think>\n\nb<|im_end|>"));
  RenderOptions options;
  options.variables["enable_thinking"] = false;
  EXPECT_THAT(said(chat_template("qwen3"), conversation, options), ElementsAre("a<|im_end|>", "b<|im_end|>"));
}

TEST(AssistantSpans, HoldCallsOfTools) {
  const char* conversation = R"([{"role": "user", "content": "q"},
      {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
      {"role": "tool", "content": "<|im_start|>assistant\nno<|im_end|>"}, {"role": "assistant", "content": "a"}])";
  EXPECT_THAT(
      said(chat_template("qwen2_5"), conversation),
      ElementsAre("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call><|im_end|>", "a<|im_end|>"));
  EXPECT_THAT(said(chat_template("llama3_style"), conversation),
              ElementsAre("{\"name\": \"f\", \"parameters\": {\"x\": 1}}<|eot_id|>", "a<|eot_id|>"));
}

TEST(AssistantSpans, EndWithTheFirstTokenThatEndsATurn) {
  RenderOptions options;
  options.variables["builtin_tools"] = Json::array({"f"});
  EXPECT_THAT(said(chat_template("llama3_style"), R"([{"role": "user", "content": "q"},
      {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"x": "1"}}}]},
      {"role": "tool", "content": "t"}])",
                   options),
              ElementsAre("<|python_tag|>f.call(x=\"1\")<|eom_id|>"));
}

// Templates in the style of Mistral have no header for the assistant, so the rendered question tells where it begins.
TEST(AssistantSpans, BeginAfterThePromptWhereThereIsNoHeader) {
  const ChatTemplate chat(
      "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}</s>"
      "{% endif %}{% endfor %}",
      "t", {{}, {"</s>"}});
  EXPECT_THAT(said(chat, R"([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a</s>"},
      {"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}])"),
              ElementsAre(" a</s></s>", " b</s>"));
}

// Templates such as Gemma's give the assistant another name.
TEST(AssistantSpans, FindTurnsUnderAnotherRole) {
  const ChatTemplate chat(
      "{% for m in messages %}<turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end>\n"
      "{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}",
      "t", {{}, {"<end>"}});
  EXPECT_THAT(said(chat, R"([{"role": "user", "content": "<turn>model\n"}, {"role": "assistant", "content": " a "},
      {"role": "user", "content": "q"}, {"role": "assistant", "content": ""}])"),
              ElementsAre("a<end>", "<end>"));
}

TEST(AssistantSpans, HoldTheBareTextWhereNothingTellsTheHeader) {
  const ChatTemplate chat(
      "{{ messages | length }}{% for m in messages %}{{ m.role ~ ':' ~ m.content ~ ';' }}{% endfor %}", "t", {});
  EXPECT_THAT(said(chat, R"([{"role": "user", "content": "q"}, {"role": "assistant", "content": "answer"}])"),
              ElementsAre("answer"));
}

TEST(AssistantSpans, LeaveOutMessagesThatAreNotRendered) {
  const ChatTemplate chat("{{ messages[0].content }}", "t", {});
  EXPECT_THAT(said(chat, R"([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}])"),
              ElementsAre());
}

TEST(AssistantSpans, JoinSpansThatTouch) {
  EXPECT_EQ(joined_spans({{5, 6}, {0, 2}, {2, 3}, {1, 2}}), (std::vector<Span>{{0, 3}, {5, 6}}));
  EXPECT_EQ(joined_spans({}), (std::vector<Span>{}));
}

}  // namespace
}  // namespace terse::data
