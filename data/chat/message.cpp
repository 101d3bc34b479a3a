// A message that is wrong is refused here with the name of the field. A template would fail later, and say less.
#include "data/chat/message.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "base/utf8.h"

namespace terse::data {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kDepth = 64;
constexpr size_t kRoleBytes = 32;
constexpr size_t kShown = 60;  // bytes of a wrong value in a message

std::string shown(const Json& value) {
  std::string text = printable(value.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (text.size() > kShown) text = text.substr(0, whole_characters(text.substr(0, kShown))) + "...";
  return text;
}

[[noreturn]] void fail(const std::string& where, const std::string& field, const std::string& problem) {
  throw DataError(fmt::format("{}{}: {}", where, field, problem));
}

void expect(bool holds, const std::string& where, const std::string& field, const char* expected, const Json& found) {
  if (!holds) fail(where, field, fmt::format("expected {}, found {}", expected, shown(found)));
}

void check_text(const std::string& text, const std::string& where, const std::string& field) {
  const size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string::npos) fail(where, field, fmt::format("the text is not UTF-8 at byte {}", invalid));
}

void check_nested(const Json& value, const std::string& where, const std::string& field, int depth) {
  if (depth > kDepth) fail(where, field, fmt::format("is nested more than {} deep", kDepth));
  if (value.is_string()) {
    check_text(value.get_ref<const std::string&>(), where, field);
  } else if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) {
    fail(where, field, fmt::format("the number {} does not fit into 64 bits", value.get<uint64_t>()));
  } else if (value.is_array()) {
    for (const Json& item : value) check_nested(item, where, field, depth + 1);
  } else if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      check_text(key, where, field);
      check_nested(item, where, field, depth + 1);
    }
  } else {
    expect(!value.is_binary() && !value.is_discarded(), where, field, "JSON", Json("binary data"));
  }
}

bool is_role(const std::string& role) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !role.empty() && role.size() <= kRoleBytes && role[0] >= 'a' && role[0] <= 'z' &&
         std::all_of(role.begin(), role.end(), is_allowed);
}

void check_content(const Json& content, const std::string& where, const std::string& field) {
  if (content.is_string()) return;
  expect(content.is_array(), where, field, "text or a list of parts", content);
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string part = fmt::format("{}[{}]", field, i);
    expect(content[i].is_object(), where, part, "an object with 'type' and 'text'", content[i]);
    const Json& type = content[i].contains("type") ? content[i]["type"] : Json();
    expect(type == "text", where, part + ".type", "\"text\", because terse trains on text only", type);
    const Json& text = content[i].contains("text") ? content[i]["text"] : Json();
    expect(text.is_string(), where, part + ".text", "text", text);
  }
}

void check_tool_calls(const Json& calls, const std::string& where, const std::string& field) {
  expect(calls.is_array(), where, field, "a list", calls);
  for (size_t i = 0; i < calls.size(); ++i) {
    std::string call = fmt::format("{}[{}]", field, i);
    expect(calls[i].is_object(), where, call, "an object", calls[i]);
    const bool nested = calls[i].contains("function");
    if (nested) call += ".function";
    const Json& function = nested ? calls[i]["function"] : calls[i];
    expect(function.is_object(), where, call, "an object", function);
    const Json& name = function.contains("name") ? function["name"] : Json();
    expect(name.is_string() && !name.get_ref<const std::string&>().empty(), where, call + ".name", "a name", name);
    if (!function.contains("arguments")) continue;
    const Json& arguments = function["arguments"];
    expect(arguments.is_object() || arguments.is_string(), where, call + ".arguments", "an object or text", arguments);
  }
}

// Gives the thinking the names under which templates read it, in the order in which transformers does.
Json with_reasoning_names(Json fields) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    if (!fields.contains(name)) continue;
    const Json reasoning = fields[name];
    Json named = Json::object();
    named["thinking"] = fields.contains("thinking") ? fields["thinking"] : reasoning;
    for (const auto& [key, value] : fields.items()) {
      if (key != "thinking") named[key] = value;
    }
    named["reasoning_content"] = reasoning;
    return named;
  }
  return fields;
}

Message parse_message(const Json& json, const std::string& where, const std::string& field) {
  expect(json.is_object(), where, field, "an object with 'role' and 'content'", json);
  check_nested(json, where, field, 1);
  Json fields = Json::object();
  for (const auto& [key, value] : json.items()) {
    if (!value.is_null()) fields[key] = value;
  }
  if (!fields.contains("role")) fail(where, field + ".role", "is missing");
  const Json& role = fields["role"];
  expect(role.is_string() && is_role(role.get_ref<const std::string&>()), where, field + ".role",
         "a name such as system, user, assistant or tool", role);
  for (const char* name : {"reasoning_content", "thinking", "reasoning", "name", "tool_call_id"}) {
    if (fields.contains(name)) expect(fields[name].is_string(), where, field + "." + name, "text", fields[name]);
  }
  if (fields.contains("tool_calls")) check_tool_calls(fields["tool_calls"], where, field + ".tool_calls");
  if (fields.contains("content")) {
    check_content(fields["content"], where, field + ".content");
  } else if (!fields.contains("tool_calls")) {
    fail(where, field + ".content", "is missing");
  }
  std::string name = role.get<std::string>();
  return {std::move(name), with_reasoning_names(std::move(fields))};
}

}  // namespace

Conversation parse_messages(const Json& messages, const std::string& where) {
  expect(messages.is_array(), where, "messages", "a list", messages);
  if (messages.empty()) fail(where, "messages", "the list is empty");
  Conversation conversation;
  for (size_t i = 0; i < messages.size(); ++i) {
    conversation.push_back(parse_message(messages[i], where, fmt::format("messages[{}]", i)));
  }
  return conversation;
}

void check_tools(const Json& tools, const std::string& where) {
  expect(tools.is_array(), where, "tools", "a list", tools);
  for (size_t i = 0; i < tools.size(); ++i) {
    const std::string field = fmt::format("tools[{}]", i);
    expect(tools[i].is_object(), where, field, "an object", tools[i]);
    check_nested(tools[i], where, field, 1);
  }
}

void check_json(const Json& value, const std::string& where, const std::string& field) {
  check_nested(value, where, field, 1);
}

}  // namespace terse::data
