// Prompts of items: reading them from JSON, and comparing them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rl/tasks/task.h"

namespace terse::rl {

// Reads a list of messages, {"role": ..., "content": ...} each. Returns what is wrong with it, ready for a message;
// empty: `messages` has at least one message.
std::string read_messages(const nlohmann::json& value, std::vector<Message>& messages);

// The text of a prompt, with its roles: equal for equal prompts only.
std::string text_of_prompt(const std::vector<Message>& prompt);

// The beginning of a JSON value, for messages.
std::string shown_json(const nlohmann::json& value);

}  // namespace terse::rl
