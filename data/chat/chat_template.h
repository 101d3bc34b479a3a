// Renders conversations by the chat template of a model, exactly as apply_chat_template() of transformers does, and
// says which bytes of the result may be special tokens and which ones the assistant said.
//
// The template is a program in the language of Jinja2, which data/chat/jinja/ runs. It comes with a model from
// elsewhere, so it is not trusted: it can do nothing but make text, and its size, time and memory are bounded.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/chat/jinja/values/context.h"
#include "data/chat/message.h"
#include "data/chat/thinking.h"
#include "data/span.h"

namespace terse::data {

// A template learns these tokens from the tokenizer.
struct TemplateTokens {
  // The texts of tokens under the names that templates use, for example {"bos_token", "<s>"}.
  std::vector<std::pair<std::string, std::string>> named;
  // The texts of the tokens that end a turn: the EOS token, and further ones of generation_config.json.
  std::vector<std::string> end_of_turn;
};

struct RenderOptions {
  bool add_generation_prompt = false;  // end with the header of an assistant's turn, for the model to continue
  nlohmann::ordered_json tools;        // a list of JSON schemas, or null
  nlohmann::ordered_json documents;    // a list of objects, or null
  // Further variables, such as {"enable_thinking": false}. Text in them is input, like text of a user.
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
  // strftime_now() returns this date. Without it, this function does not exist, so that no run depends on the day.
  // Templates of Llama then write a fixed date.
  std::optional<jinja::Date> date;
};

// A tokenizer encodes `text` as follows. First it looks for special tokens, and for other added tokens such as
// "<think>": an occurrence counts only if one span of `special_allowed` contains it entirely. Everything between the
// tokens found is then encoded as one piece, as it always is, whether it comes from the template, from a user, or from
// both. So the ids are those of transformers, except that no text of a user becomes a special token.
struct RenderedChat {
  std::string text;  // UTF-8
  // Bytes of the template, and the markers of thinking where an assistant wrote them. Ascending and disjoint.
  std::vector<Span> special_allowed;
  // The assistant's messages, each with the token that ends its turn; fine-tuning learns these bytes. If the template
  // has
  // {% generation %} blocks, they mark the messages. Otherwise, a turn begins after the text that add_generation_prompt
  // appends. Ascending and disjoint.
  std::vector<Span> assistant;
  ThinkingState thinking = ThinkingState::kNotStarted;  // at the end of the text
};

// A template is immutable, so any number of threads may render with it.
class ChatTemplate {
 public:
  // `name` is for messages, e.g. "chat template of model.gguf". `thinking` overrides the markers that the template
  // shows. Throws DataError that names the construct and its line when the template is wrong, uses what terse does not
  // know, or is too large.
  ChatTemplate(const std::string& text, std::string name, TemplateTokens tokens,
               std::optional<ThinkingMarkers> thinking = {});
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // Throws DataError when the template fails, refuses the conversation, or takes too long. Throws ConfigError for a
  // variable that the template already has. The conversation comes from parse_messages().
  RenderedChat render(const Conversation& conversation, const RenderOptions& options = {}) const;

  const ThinkingMarkers& thinking() const;

 private:
  class Implementation;
  std::unique_ptr<const Implementation> implementation_;
};

}  // namespace terse::data
