// Everything is checked before the template sees it, so that a message names the field and not a line of the template.
#include "data/conversations/conversation_line.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "data/jsonl/content_key.h"

namespace terse::data {

namespace {

using Json = nlohmann::ordered_json;

// Returns a member, or null when it is missing.
const Json& member(const Json& object, const char* key) {
  static const Json kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

Json tools_of(const Json& line) {
  Json tools = member(line, "tools");
  if (tools.is_string()) {
    tools = Json::parse(tools.get_ref<const std::string&>(), nullptr, /*allow_exceptions=*/false);
    if (tools.is_discarded()) throw DataError("tools: the text is not JSON");
  }
  if (!tools.is_null()) check_tools(tools, "");
  return tools;
}

bool says_something(const Message& message) {
  const Json& content = member(message.fields, "content");
  return member(message.fields, "tool_calls").size() > 0 || (content.is_string() && content != "") ||
         (content.is_array() && !content.empty());
}

void require_answer(const Conversation& conversation) {
  const Message& last = conversation.back();
  if (last.role != "assistant") {
    throw DataError(fmt::format("the last message is of {}, expected the assistant", last.role));
  }
  if (!says_something(last)) throw DataError("the last message is empty");
}

uint64_t key_of(const Conversation& conversation, const Json& tools) {
  Json messages = Json::array();
  for (const Message& message : conversation) messages.push_back(message.fields);
  // This type sorts the keys, so their order does not matter.
  return content_key(nlohmann::json(Json{{"messages", messages}, {"tools", tools}}).dump());
}

// Takes the marks off the turns of the prompt, with which `encoded` begins.
void learn_only_after(const Conversation& prompt, const Json& tools, const ChatFormat& format,
                      ChatFormat::Encoded& encoded) {
  const bool has_turns =
      std::any_of(prompt.begin(), prompt.end(), [](const Message& message) { return message.role == "assistant"; });
  if (!has_turns) return;
  const ChatFormat::Encoded alone = format.encode(prompt, tools);
  const auto last = std::find(alone.learned.rbegin(), alone.learned.rend(), true);
  const auto turns = std::distance(last, alone.learned.rend());  // tokens up to the end of the last turn
  if (turns > std::ssize(encoded.tokens) ||
      !std::equal(alone.tokens.begin(), alone.tokens.begin() + turns, encoded.tokens.begin())) {
    throw DataError("the template writes the prompt in another way before the completion; use \"messages\"");
  }
  std::fill_n(encoded.learned.begin(), turns, false);
}

EncodedConversation encode_messages(const Conversation& prompt, const Conversation& rest, const Json& tools,
                                    const ChatFormat& format) {
  Conversation all = prompt;
  all.insert(all.end(), rest.begin(), rest.end());
  require_answer(all);
  EncodedConversation result{format.encode(all, tools), key_of(all, tools)};
  learn_only_after(prompt, tools, format, result.encoded);
  format.end_last_turn(result.encoded);
  return result;
}

EncodedConversation encode_texts(const std::string& prompt, const std::string& completion, const ChatFormat& format) {
  if (prompt.empty()) throw DataError("prompt: the text is empty");
  if (completion.empty()) throw DataError("completion: the text is empty");
  const Tokenizer& tokenizer = format.tokenizer();
  EncodedConversation result;
  std::vector<int32_t>& tokens = result.encoded.tokens;
  if (tokenizer.adds_bos()) tokens.push_back(tokenizer.bos());
  for (const bool learned : {false, true}) {
    const std::vector<int32_t> ids = tokenizer.encode(learned ? completion : prompt);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    if (learned && tokenizer.eos() >= 0) tokens.push_back(tokenizer.eos());
    result.encoded.learned.resize(tokens.size(), learned);
  }
  result.key = content_key(nlohmann::json{{"prompt", prompt}, {"completion", completion}}.dump());
  return result;
}

EncodedConversation encode_any(const Json& line, const ChatFormat& format) {
  const Json &messages = member(line, "messages"), &prompt = member(line, "prompt"),
             &completion = member(line, "completion");
  if (!member(line, "chat_template_kwargs").is_null()) throw DataError("chat_template_kwargs: terse does not know it");
  if (!messages.is_null() && !completion.is_null()) {
    throw DataError("the line has both \"messages\" and \"completion\", so it is not clear what to learn");
  }
  if (!messages.is_null()) return encode_messages({}, parse_messages(messages, ""), tools_of(line), format);
  if (prompt.is_null() || completion.is_null()) {
    throw DataError("expected \"messages\", or \"prompt\" and \"completion\"");
  }
  if (prompt.is_string() && completion.is_string()) {
    if (!member(line, "tools").is_null()) throw DataError("tools: a prompt that is plain text cannot have any");
    return encode_texts(prompt.get_ref<const std::string&>(), completion.get_ref<const std::string&>(), format);
  }
  if (!prompt.is_array() || !completion.is_array()) {
    throw DataError("expected \"prompt\" and \"completion\" as two texts or as two lists of messages");
  }
  return encode_messages(parse_messages(prompt, "prompt: "), parse_messages(completion, "completion: "), tools_of(line),
                         format);
}

}  // namespace

EncodedConversation encode_line(const Json& line, const ChatFormat& format) {
  EncodedConversation result = encode_any(line, format);
  std::vector<bool>& learned = result.encoded.learned;
  if (!learned.empty()) learned.front() = false;  // nothing comes before it, so nothing can predict it
  if (std::find(learned.begin(), learned.end(), true) == learned.end()) {
    throw DataError("there is no token to learn: the template marks nothing of the assistant's");
  }
  return result;
}

}  // namespace terse::data
