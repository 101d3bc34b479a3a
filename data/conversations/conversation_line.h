// A line of a file of conversations, in the formats of TRL, and the tokens that it becomes.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "data/chat/chat_format.h"

namespace terse::data {

struct EncodedConversation {
  ChatFormat::Encoded encoded;  // at least one token is learned, and never the first
  uint64_t key = 0;             // content_key() of what was said, whatever the tokenizer and the template
};

// Encodes a line with one of:
//   {"messages": [...]}                        the whole conversation; every turn of the assistant is learned
//   {"prompt": [...], "completion": [...]}     messages; only the assistant's turns of the completion are learned
//   {"prompt": "...", "completion": "..."}     plain texts without a template; the completion and eos() are learned
// The end of the last turn is learned in any case, see ChatFormat::end_last_turn().
// Conversations may also have "tools": a list of JSON schemas, or this list as text. Other keys are ignored, except
// "chat_template_kwargs", which would change the text. The last message must be the assistant's, and say something.
// Throws DataError that names the field, or EncodeError.
EncodedConversation encode_line(const nlohmann::ordered_json& line, const ChatFormat& format);

}  // namespace terse::data
