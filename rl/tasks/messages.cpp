// A wrong message is described as precisely as a wrong line of a file, because people write both.
#include "rl/tasks/messages.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace terse::rl {

namespace {

using Json = nlohmann::json;

constexpr int64_t kMostMessages = 1000;  // of a prompt
constexpr size_t kShown = 80;            // bytes of a value in a message

constexpr int kShownDepth = 64;  // dump() calls itself for each level

bool nests_deeper(const Json& value, int depth) {
  if (!value.is_structured()) return false;
  return depth == 0 ||
         std::any_of(value.begin(), value.end(), [&](const Json& e) { return nests_deeper(e, depth - 1); });
}

std::string read_message(const Json& value, Message& message) {
  if (!value.is_object()) return fmt::format("a message is {}; expected an object", shown_json(value));
  for (const auto& [key, member] : value.items()) {
    if (key != "role" && key != "content")
      return fmt::format("a message has the unknown key \"{}\"; known: role, content", key);
  }
  for (const char* key : {"role", "content"}) {
    const auto found = value.find(key);
    if (found == value.end() || !found->is_string()) {
      return fmt::format("a message's \"{}\" is {}; expected a string", key,
                         found == value.end() ? "missing" : shown_json(*found));
    }
  }
  message = {value.at("role").get<std::string>(), value.at("content").get<std::string>()};
  if (message.role != "system" && message.role != "user" && message.role != "assistant")
    return fmt::format("a role is \"{}\"; expected system, user or assistant", message.role);
  return "";
}

}  // namespace

std::string read_messages(const Json& value, std::vector<Message>& messages) {
  if (!value.is_array() || value.empty() || std::ssize(value) > kMostMessages)
    return fmt::format("it is {}; expected a list of 1 to {} messages", shown_json(value), kMostMessages);
  messages.clear();
  for (const Json& each : value) {
    if (const std::string wrong = read_message(each, messages.emplace_back()); !wrong.empty()) return wrong;
  }
  return "";
}

std::string text_of_prompt(const std::vector<Message>& prompt) {
  std::string text;
  for (const Message& message : prompt) text += message.role + '\0' + message.content + '\0';
  return text;
}

std::string shown_json(const Json& value) {
  if (nests_deeper(value, kShownDepth)) return "a value that nests too deep";
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > kShown ? printable(text.substr(0, kShown)) + "..." : text;
}

}  // namespace terse::rl
