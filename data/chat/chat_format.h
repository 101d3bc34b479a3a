// Turns conversations into the token ids that a model sees: its chat template, its tokenizer, and the config's section
// `chat` together.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "data/chat/chat_template.h"
#include "data/tokenizers/tokenizer.h"

namespace terse::data {

// Immutable, so any number of threads may use it.
class ChatFormat {
 public:
  // `template_text` is the chat template; empty: none, so that a conversation is the contents of its messages, one
  // after the other. `name` is for messages, e.g. "chat template of model.gguf". Throws DataError when the template is
  // wrong, and ConfigError when an option of `config` does not fit it.
  ChatFormat(std::shared_ptr<const Tokenizer> tokenizer, const std::string& template_text, const std::string& name,
             const configs::Chat& config);

  // The format without a template: contents, one after the other.
  static std::shared_ptr<const ChatFormat> plain(std::shared_ptr<const Tokenizer> tokenizer);

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  std::shared_ptr<const Tokenizer> shared_tokenizer() const { return tokenizer_; }
  bool has_template() const { return template_.has_value(); }
  const std::string& template_text() const { return template_text_; }
  // The texts around the thinking of a response, or none.
  const ThinkingMarkers& thinking() const { return thinking_; }
  // Every prompt ends inside the thinking, as some templates write it.
  bool prompt_opens_thinking() const { return prompt_opens_thinking_; }

  // The ids of a conversation, and the header of the assistant's turn that the model continues. Throws DataError when
  // the template refuses the conversation, and EncodeError.
  std::vector<int32_t> encode_prompt(const Conversation& conversation,
                                     const nlohmann::ordered_json& tools = nullptr) const;

  struct Encoded {
    std::vector<int32_t> tokens;
    // Parallel to `tokens`: fine-tuning learns this token, because the assistant says it or ends its turn with it.
    std::vector<bool> learned;
  };
  // The ids of a whole conversation. Without a template, eos() follows each message of the assistant.
  // Throws what encode_prompt() throws.
  Encoded encode(const Conversation& conversation, const nlohmann::ordered_json& tools = nullptr) const;

  // The ids of a response to encode_prompt(conversation), with the token that ends it: what encode() learns of the
  // assistant's message with this text. Where the template writes this message in a way that the prompt does not lead
  // to, or leaves out a part of it, the ids are those of the text itself. It then follows an empty thinking, if the
  // prompt has opened one. The tokenizer has an eos(). Throws what encode_prompt() throws.
  std::vector<int32_t> encode_response(const Conversation& conversation, const std::string& text) const;

  // Makes the end of the last turn, which is the assistant's, learned: the first of eos_ids() after it. Where the
  // template wrote none there, eos() takes the place of what it wrote. A tokenizer without an eos() changes nothing.
  void end_last_turn(Encoded& encoded) const;
  // Whether encode() learns one of eos_ids() at the end of the assistant's turns. True where there is no template, and
  // where the tokenizer has no eos().
  bool template_ends_turns() const;

 private:
  Encoded encode_contents(const Conversation& conversation) const;
  // Returns encode_response() by the template, or nothing where this cannot be.
  std::optional<std::vector<int32_t>> rendered_response(const Conversation& conversation,
                                                        const std::string& text) const;
  Encoded encode_rendered(const Conversation& conversation, const nlohmann::ordered_json& tools) const;
  Conversation with_system(const Conversation& conversation) const;
  RenderOptions options(const nlohmann::ordered_json& tools) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string template_text_;
  std::optional<ChatTemplate> template_;
  std::string system_;
  nlohmann::ordered_json variables_;
  ThinkingMarkers thinking_;
  bool prompt_opens_thinking_ = false;
};

}  // namespace terse::data
