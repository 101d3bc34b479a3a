// Finds the tokens that fine-tuning learns by their bytes: the bytes of all tokens together are the rendered text.
#include "data/chat/chat_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "data/chat/assistant_spans.h"
#include "data/tokenizers/split/normalizer.h"

namespace terse::data {

namespace {

using Json = nlohmann::ordered_json;

TemplateTokens tokens_of(const Tokenizer& tokenizer) {
  TemplateTokens tokens;
  if (tokenizer.bos() >= 0) tokens.named.emplace_back("bos_token", tokenizer.decode({tokenizer.bos()}));
  if (tokenizer.eos() >= 0) tokens.named.emplace_back("eos_token", tokenizer.decode({tokenizer.eos()}));
  for (const int32_t id : tokenizer.eos_ids()) tokens.end_of_turn.push_back(tokenizer.decode({id}));
  return tokens;
}

std::optional<ThinkingMarkers> markers_of(const configs::Chat& config) {
  if (config.think_close.empty()) {
    if (config.think_open.empty()) return std::nullopt;
    throw ConfigError("chat.think_open: is set without chat.think_close, so the thinking would never end; set both");
  }
  return ThinkingMarkers{config.think_open, config.think_close};
}

Json variables_of(const configs::Chat& config, const std::string& template_text) {
  Json variables = Json::object();
  if (config.enable_thinking == "auto") return variables;
  if (template_text.find("enable_thinking") == std::string::npos) {
    throw ConfigError(fmt::format(
        "chat.enable_thinking: is {}, but {}; leave it at auto", config.enable_thinking,
        template_text.empty() ? "there is no chat template" : "the chat template does not know enable_thinking"));
  }
  variables["enable_thinking"] = config.enable_thinking == "on";
  return variables;
}

std::string content_of(const Message& message) {
  const auto content = message.fields.find("content");
  if (content == message.fields.end()) return "";
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  for (const Json& part : *content) text += part.value("text", "");
  return text;
}

void append(std::vector<int32_t>& ids, const std::vector<int32_t>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

// Normalizes all texts of a value, as a tokenizer with NFC does.
void normalize_texts(Json& value) {
  if (value.is_string()) {
    value = normalize_nfc(value.get_ref<const std::string&>());
  } else if (value.is_structured()) {
    for (Json& element : value) normalize_texts(element);
  }
}

Conversation normalized(Conversation conversation) {
  for (Message& message : conversation) normalize_texts(message.fields);
  return conversation;
}

// Returns where each token begins in the text, or nothing when the tokens are not its bytes.
std::optional<std::vector<size_t>> places(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                                          std::string_view text) {
  std::vector<size_t> begins;
  size_t at = 0;
  for (const int32_t id : ids) {
    const std::string bytes = tokenizer.decode({id});
    if (text.substr(std::min(at, text.size()), bytes.size()) != bytes) return std::nullopt;
    begins.push_back(at);
    at += bytes.size();
  }
  return at == text.size() ? std::optional(begins) : std::nullopt;
}

// Returns for each of these places, which are ascending, whether one of the spans contains it. These are ascending,
// too.
std::vector<bool> inside_any(const std::vector<Span>& spans, const std::vector<size_t>& places) {
  std::vector<bool> result;
  auto span = spans.begin();
  for (const size_t at : places) {
    while (span != spans.end() && span->end <= at) ++span;
    result.push_back(span != spans.end() && span->begin <= at);
  }
  return result;
}

// Returns the first token from `begin` on that ends a response.
std::vector<int32_t>::const_iterator find_end(const Tokenizer& tokenizer, const std::vector<int32_t>& tokens,
                                              size_t begin) {
  const std::vector<int32_t> ends = tokenizer.eos_ids();
  return std::find_first_of(tokens.begin() + static_cast<std::ptrdiff_t>(begin), tokens.end(), ends.begin(),
                            ends.end());
}

// Returns the number of tokens up to the last learned one.
size_t learned_size(const ChatFormat::Encoded& encoded) {
  const auto last = std::find(encoded.learned.rbegin(), encoded.learned.rend(), true);
  return static_cast<size_t>(std::distance(last, encoded.learned.rend()));
}

std::string without_white_space(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
  return text;
}

std::vector<Span> occurrences(const std::string& text, const std::string& wanted) {
  std::vector<Span> found;
  for (size_t at = 0; !wanted.empty() && (at = text.find(wanted, at)) != std::string::npos; at += wanted.size())
    found.push_back({at, at + wanted.size()});
  return found;
}

}  // namespace

ChatFormat::ChatFormat(std::shared_ptr<const Tokenizer> tokenizer, const std::string& template_text,
                       const std::string& name, const configs::Chat& config)
    : tokenizer_(std::move(tokenizer)),
      template_text_(template_text),
      system_(config.system),
      variables_(variables_of(config, template_text)) {
  const std::optional<ThinkingMarkers> given = markers_of(config);
  if (given) thinking_ = *given;
  if (template_text.empty()) return;
  template_.emplace(template_text, name, tokens_of(*tokenizer_), given);
  thinking_ = template_->thinking();
  RenderOptions probe = options(nullptr);
  probe.add_generation_prompt = true;
  try {
    const Message question{"user", {{"role", "user"}, {"content", "?"}}};
    prompt_opens_thinking_ = template_->render(with_system({question}), probe).thinking == ThinkingState::kOpen;
  } catch (const DataError&) {  // the template wants another conversation, and says so when it gets one
  }
}

std::shared_ptr<const ChatFormat> ChatFormat::plain(std::shared_ptr<const Tokenizer> tokenizer) {
  return std::make_shared<const ChatFormat>(std::move(tokenizer), "", "", configs::Chat());
}

std::vector<int32_t> ChatFormat::encode_prompt(const Conversation& conversation, const Json& tools) const {
  if (template_) {
    RenderOptions prompt = options(tools);
    prompt.add_generation_prompt = true;
    const RenderedChat chat = template_->render(with_system(conversation), prompt);
    return tokenizer_->encode_template(chat.text, chat.special_allowed);
  }
  std::string text;
  for (const Message& message : with_system(conversation)) text += content_of(message);
  std::vector<int32_t> ids;
  if (tokenizer_->adds_bos()) ids.push_back(tokenizer_->bos());
  append(ids, tokenizer_->encode(text));
  return ids;
}

ChatFormat::Encoded ChatFormat::encode(const Conversation& conversation, const Json& tools) const {
  return template_ ? encode_rendered(conversation, tools) : encode_contents(conversation);
}

ChatFormat::Encoded ChatFormat::encode_contents(const Conversation& conversation) const {
  Encoded result;
  std::string before;  // what has been said since the assistant's last message
  if (tokenizer_->adds_bos()) result.tokens.push_back(tokenizer_->bos());
  const auto flush = [&] {
    append(result.tokens, tokenizer_->encode(before));
    result.learned.resize(result.tokens.size(), false);
    before.clear();
  };
  for (const Message& message : with_system(conversation)) {
    if (message.role != "assistant") {
      before += content_of(message);
      continue;
    }
    flush();
    append(result.tokens, tokenizer_->encode(content_of(message)));
    if (tokenizer_->eos() >= 0) result.tokens.push_back(tokenizer_->eos());
    result.learned.resize(result.tokens.size(), true);
  }
  flush();
  return result;
}

ChatFormat::Encoded ChatFormat::encode_rendered(const Conversation& conversation, const Json& tools) const {
  const Conversation whole = with_system(conversation);
  for (const Conversation& given : {whole, normalized(whole)}) {
    const RenderedChat chat = template_->render(given, options(tools));
    Encoded result;
    result.tokens = tokenizer_->encode_template(chat.text, chat.special_allowed);
    const auto begins = places(*tokenizer_, result.tokens, chat.text);
    if (!begins) continue;  // the tokenizer has normalized the text
    result.learned = inside_any(chat.assistant, *begins);
    return result;
  }
  throw DataError(fmt::format(
      "the tokenizer {} changes the text of the conversation, so the assistant's tokens cannot be found in it",
      tokenizer_->id()));
}

std::vector<int32_t> ChatFormat::encode_response(const Conversation& conversation, const std::string& text) const {
  if (template_) {
    if (auto ids = rendered_response(conversation, text)) return *ids;
  }
  const bool thinks = text.find(thinking_.close) != std::string::npos;
  const std::string whole = prompt_opens_thinking_ && !thinks ? "\n" + thinking_.close + "\n\n" + text : text;
  std::vector<Span> markers = occurrences(whole, thinking_.open);
  for (const Span& span : occurrences(whole, thinking_.close)) markers.push_back(span);
  markers = joined_spans(std::move(markers));
  std::vector<int32_t> ids = template_ ? tokenizer_->encode_template(whole, markers) : tokenizer_->encode(whole);
  ids.push_back(tokenizer_->eos());
  return ids;
}

std::optional<std::vector<int32_t>> ChatFormat::rendered_response(const Conversation& conversation,
                                                                  const std::string& text) const {
  Conversation whole = conversation;
  whole.push_back({"assistant", {{"role", "assistant"}, {"content", text}}});
  Encoded encoded;
  try {
    encoded = encode(whole);
  } catch (const DataError&) {  // the template wants another conversation
    return std::nullopt;
  }
  const std::vector<int32_t> prompt = encode_prompt(conversation);
  const size_t learned = learned_size(encoded);
  if (learned <= prompt.size() || !std::equal(prompt.begin(), prompt.end(), encoded.tokens.begin()))
    return std::nullopt;
  end_last_turn(encoded);
  const auto begin = encoded.tokens.begin() + static_cast<std::ptrdiff_t>(prompt.size());
  const std::vector<int32_t> ids(begin, encoded.tokens.begin() + static_cast<std::ptrdiff_t>(learned_size(encoded)));
  const std::string said = without_white_space(tokenizer_->decode(ids));
  return said.find(without_white_space(text)) == std::string::npos ? std::nullopt : std::optional(ids);
}

void ChatFormat::end_last_turn(Encoded& encoded) const {
  const size_t size = learned_size(encoded);
  if (size == 0 || tokenizer_->eos() < 0) return;
  std::vector<int32_t>& tokens = encoded.tokens;
  if (find_end(*tokenizer_, tokens, size - 1) == tokens.end()) {
    tokens.resize(size);
    tokens.push_back(tokenizer_->eos());
  }
  const auto end = static_cast<size_t>(find_end(*tokenizer_, tokens, size - 1) - tokens.begin());
  encoded.learned.resize(tokens.size());
  for (size_t i = size; i <= end; ++i) encoded.learned[i] = true;
}

bool ChatFormat::template_ends_turns() const {
  if (!template_ || tokenizer_->eos() < 0) return true;
  try {
    const Encoded probe = encode(
        {{"user", {{"role", "user"}, {"content", "?"}}}, {"assistant", {{"role", "assistant"}, {"content", "!"}}}});
    const size_t size = learned_size(probe);
    return size == 0 || find_end(*tokenizer_, probe.tokens, size - 1) == probe.tokens.begin() + size - 1;
  } catch (const DataError&) {  // the template wants another conversation
    return true;
  }
}

Conversation ChatFormat::with_system(const Conversation& conversation) const {
  if (system_.empty() || (!conversation.empty() && conversation.front().role == "system")) return conversation;
  Conversation result = {{"system", {{"role", "system"}, {"content", system_}}}};
  result.insert(result.end(), conversation.begin(), conversation.end());
  return result;
}

RenderOptions ChatFormat::options(const Json& tools) const {
  RenderOptions result;
  result.tools = tools;
  result.variables = variables_;
  return result;
}

}  // namespace terse::data
