// Defines the messages of a conversation, and checks them when they come from a file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace terse::data {

// One message, with the fields that chat templates know:
//
//   role               "system", "user", "assistant", "tool" or another name of lower-case letters, digits, "_" and "-"
//   content            text, or a list of parts {"type": "text", "text": ...}
//   reasoning_content  the thinking of an assistant, where it is not part of the content
//   tool_calls         a list of {"type": "function", "function": {"name": ..., "arguments": {...}}}
//   name, tool_call_id, and whatever else a template reads
struct Message {
  std::string role;
  nlohmann::ordered_json fields;  // the whole object with the role, in the order of the file, without what was null
};

using Conversation = std::vector<Message>;

// Checks the value of "messages" in a line of a data set. Throws DataError that starts with `where` and names the
// field, what was found and what was expected. Like apply_chat_template() of transformers, it drops fields that are
// null, and it accepts `thinking` and `reasoning` as other names of `reasoning_content`.
Conversation parse_messages(const nlohmann::ordered_json& messages, const std::string& where);

// Checks the value of "tools": a list of JSON objects. Throws DataError as above.
void check_tools(const nlohmann::ordered_json& tools, const std::string& where);

// Throws DataError when a value is nested more than 64 deep, or has text that is not UTF-8, or a number that does not
// fit into 64 bits. `field` is its name for the message.
void check_json(const nlohmann::ordered_json& value, const std::string& where, const std::string& field);

}  // namespace terse::data
