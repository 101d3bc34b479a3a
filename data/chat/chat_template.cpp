// Gives a template the variables that transformers gives it, with the marks that tell input from template.
#include "data/chat/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/errors.h"
#include "data/chat/assistant_spans.h"
#include "data/chat/jinja/interpreter.h"
#include "data/chat/jinja/syntax/parser.h"
#include "data/chat/jinja/values/from_json.h"

namespace terse::data {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 4> kOwnVariables = {"messages", "tools", "documents", "add_generation_prompt"};

// Templates build special tokens of roles, as in '<|' + message.role + '|>', so these are trusted like the template.
// Any other role is input: with "endoftext", a message could end the document.
constexpr std::array<std::string_view, 8> kTrustedRoles = {"system", "developer", "user",    "assistant",
                                                           "tool",   "function",  "ipython", "observation"};

// A rendering may take this much work for itself and for each byte of its input, and jinja::Limits::kWork in all. So it
// makes 32 MB of text at most when the input is small, which is far from what a conversation needs: one of a thousand
// messages takes a million units.
constexpr uint64_t kOwnWork = 4'000'000;
constexpr uint64_t kWorkForByte = 64;

// The bytes of keys and texts; any other value counts as 8.
uint64_t input_bytes(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().size();
  if (!value.is_structured()) return sizeof(int64_t);
  uint64_t bytes = 0;
  for (const auto& [key, member] : value.items()) bytes += key.size() + input_bytes(member);
  return bytes;
}

uint64_t most_work(const Conversation& conversation, const RenderOptions& options) {
  uint64_t bytes = input_bytes(options.tools) + input_bytes(options.documents) + input_bytes(options.variables);
  for (const Message& message : conversation) bytes += input_bytes(message.fields);
  const uint64_t most = jinja::Limits::kWork;
  return std::min(kOwnWork + kWorkForByte * std::min(bytes, most / kWorkForByte), most);
}

jinja::Value message_value(jinja::Context& context, const Message& message, int64_t index) {
  std::vector<std::pair<jinja::Value, jinja::Value>> items;
  for (const auto& [key, value] : message.fields.items()) {
    const bool is_trusted =
        key == "role" && std::find(kTrustedRoles.begin(), kTrustedRoles.end(), message.role) != kTrustedRoles.end();
    const jinja::Origin origin = is_trusted ? jinja::Origin::of_role(index) : jinja::Origin::of_message(index);
    items.emplace_back(jinja::Value(jinja::Text(key, jinja::Origin::of_message(index))),
                       jinja::from_json(context, value, origin));
  }
  return jinja::make_dict_of_distinct_keys(context, std::move(items));
}

}  // namespace

class ChatTemplate::Implementation {
 public:
  Implementation(const std::string& text, std::string name, TemplateTokens tokens,
                 std::optional<ThinkingMarkers> thinking)
      : name_(std::move(name)),
        tokens_(std::move(tokens)),
        thinking_(thinking ? std::move(*thinking) : detect_thinking_markers(text)) {
    jinja::Context context(name_);
    body_ = jinja::parse(text, context);
  }

  RenderedChat render(const Conversation& conversation, const RenderOptions& options) const {
    check(options);
    const jinja::Text text = run(conversation, options);
    RenderedChat chat;
    chat.text = text.bytes();
    std::vector<Span> allowed = template_spans(text);
    const size_t end_of_input =
        allowed.empty() || allowed.back().end < text.size() ? text.size() : allowed.back().begin;
    chat.thinking = thinking_state(std::string_view(chat.text).substr(end_of_input), thinking_);
    if (thinking_.exist()) {
      // The thinking of an assistant is often part of its content, and its markers are tokens there, too.
      for (const Span& span : occurrences_in_assistant(text, conversation, {thinking_.open, thinking_.close})) {
        allowed.push_back(span);
      }
    }
    chat.special_allowed = joined_spans(std::move(allowed));
    chat.assistant = generated_spans(text);
    const bool has_assistant = std::any_of(conversation.begin(), conversation.end(),
                                           [](const Message& message) { return message.role == "assistant"; });
    if (chat.assistant.empty() && has_assistant) {
      chat.assistant = assistant_spans(text, conversation, turn_format(conversation, options));
    }
    return chat;
  }

  const ThinkingMarkers& thinking() const { return thinking_; }

 private:
  void check(const RenderOptions& options) const {
    const std::string where = name_ + ": ";
    if (!options.tools.is_null()) check_tools(options.tools, where);
    check_json(options.documents, where, "documents");
    check_json(options.variables, where, "variables");
    if (!options.variables.is_object()) throw ConfigError(where + "the variables of a chat template must have names");
    for (const char* name : kOwnVariables) {
      if (options.variables.contains(name)) {
        throw ConfigError(fmt::format("{}the variable '{}' of a chat template is set by terse itself", where, name));
      }
    }
  }

  jinja::Text run(const Conversation& conversation, const RenderOptions& options) const {
    jinja::Context context(name_, options.date, most_work(conversation, options));
    jinja::Interpreter interpreter(body_, context);
    for (const auto& [name, text] : tokens_.named) interpreter.set(name, jinja::Value(jinja::Text(text)));
    for (const auto& [name, value] : options.variables.items()) {
      interpreter.set(name, jinja::from_json(context, value, jinja::Origin::of_user()));
    }
    std::vector<jinja::Value> messages;
    for (size_t i = 0; i < conversation.size(); ++i) {
      messages.push_back(message_value(context, conversation[i], static_cast<int64_t>(i)));
    }
    interpreter.set("messages", jinja::make_list(context, std::move(messages)));
    interpreter.set("tools", jinja::from_json(context, options.tools, jinja::Origin::of_user()));
    interpreter.set("documents", jinja::from_json(context, options.documents, jinja::Origin::of_user()));
    interpreter.set("add_generation_prompt", jinja::Value(options.add_generation_prompt));
    return interpreter.run();
  }

  // Returns the rendered text, or nothing where the template fails.
  std::string run_or_nothing(const Conversation& conversation, const RenderOptions& options) const {
    try {
      return run(conversation, options).bytes();
    } catch (const DataError&) {
      return {};
    }
  }

  // Returns what a generation prompt adds to a conversation of one question.
  std::string generation_prompt(RenderOptions options) const {
    Message question{"user", Json::object()};
    question.fields["role"] = question.role;
    question.fields["content"] = "a";
    options.add_generation_prompt = false;
    const std::string without = run_or_nothing({question}, options);
    options.add_generation_prompt = true;
    const std::string with = run_or_nothing({question}, options);
    return with.starts_with(without) ? with.substr(without.size()) : std::string();
  }

  TurnFormat turn_format(const Conversation& conversation, const RenderOptions& options) const {
    TurnFormat format;
    RenderOptions plain;
    plain.date = options.date;
    format.prompts.push_back(generation_prompt(plain));
    if (!options.variables.empty()) {
      plain.variables = options.variables;
      format.prompts.push_back(generation_prompt(plain));
    }
    std::sort(format.prompts.begin(), format.prompts.end(),
              [](const std::string& left, const std::string& right) { return left.size() > right.size(); });
    format.ends = tokens_.end_of_turn;
    format.prompt_before = [this, &conversation, options](size_t message) {
      RenderOptions before = options;
      before.add_generation_prompt = true;
      const auto end = conversation.begin() + static_cast<int64_t>(message);
      return message == 0 ? std::string() : run_or_nothing(Conversation(conversation.begin(), end), before);
    };
    return format;
  }

  std::string name_;
  TemplateTokens tokens_;
  ThinkingMarkers thinking_;
  jinja::Body body_;
};

ChatTemplate::ChatTemplate(const std::string& text, std::string name, TemplateTokens tokens,
                           std::optional<ThinkingMarkers> thinking)
    : implementation_(
          std::make_unique<const Implementation>(text, std::move(name), std::move(tokens), std::move(thinking))) {}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

RenderedChat ChatTemplate::render(const Conversation& conversation, const RenderOptions& options) const {
  return implementation_->render(conversation, options);
}

const ThinkingMarkers& ChatTemplate::thinking() const {
  return implementation_->thinking();
}

}  // namespace terse::data
