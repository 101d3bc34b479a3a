// Provides helpers for the tests of chat templates: templates and conversations made with transformers
// (tests/data/chat/make_fixtures.py), and spans as text.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/errors.h"
#include "data/chat/chat_template.h"
#include "tests/data/support.h"

namespace terse::data {

using Json = nlohmann::ordered_json;

inline const std::filesystem::path& chat_folder() {
  static const std::filesystem::path folder = std::filesystem::path(TERSE_SOURCE_DIR) / "tests/data/chat";
  return folder;
}

inline std::string template_text(const std::string& name) {
  return read_file(chat_folder() / "templates" / (name + ".jinja"));
}

inline Json chat_fixture(const std::string& name) {
  return Json::parse(read_file(chat_folder() / "fixtures" / (name + ".json")));
}

inline TemplateTokens chatml_tokens() {
  return {{{"bos_token", "<|im_start|>"}, {"eos_token", "<|im_end|>"}}, {"<|im_end|>"}};
}

inline TemplateTokens llama_tokens() {
  return {{{"bos_token", "<|begin_of_text|>"}, {"eos_token", "<|eot_id|>"}}, {"<|eot_id|>", "<|eom_id|>"}};
}

inline ChatTemplate chat_template(const std::string& name) {
  return ChatTemplate(template_text(name), name, name.starts_with("llama") ? llama_tokens() : chatml_tokens());
}

inline Conversation messages(const char* json) {
  return parse_messages(Json::parse(json), "");
}

// Returns the text of each span.
inline std::vector<std::string> texts(const std::string& text, const std::vector<Span>& spans) {
  std::vector<std::string> result;
  for (const Span& span : spans) result.push_back(text.substr(span.begin, span.end - span.begin));
  return result;
}

// Returns the occurrences of a text that lie entirely inside one of the spans.
inline int64_t count_inside(const std::string& text, const std::string& wanted, const std::vector<Span>& spans) {
  int64_t count = 0;
  for (const std::string& part : texts(text, spans)) {
    for (size_t at = part.find(wanted); at != std::string::npos; at = part.find(wanted, at + 1)) ++count;
  }
  return count;
}

}  // namespace terse::data
