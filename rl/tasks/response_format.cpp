// Each mark counts wherever it stands, so a response cannot hide its answer behind a second one.
#include "rl/tasks/response_format.h"

namespace terse::rl {

namespace {

// Tells where a mark stands first, and whether it stands again.
struct Found {
  size_t at = std::string_view::npos;
  bool again = false;
};

Found find_mark(std::string_view text, const std::string& mark) {
  if (mark.empty()) return {};
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return {};
  return {at, text.find(mark, at + mark.size()) != std::string_view::npos};
}

}  // namespace

std::optional<std::string_view> ResponseFormat::answer_of(std::string_view response) const {
  if (close.empty()) return response;
  const bool begins_inside = open.empty() || opened_by_prompt;
  const Found opened = find_mark(response, open), closed = find_mark(response, close);
  const bool is_open = opened.at != std::string_view::npos, is_closed = closed.at != std::string_view::npos;
  if (opened.again || closed.again) return {};
  if (!is_open && !is_closed && !begins_inside) return response;
  if (!is_closed || is_open == begins_inside) return {};
  if (is_open && (opened.at > closed.at || response.find_first_not_of(" \t\r\n") < opened.at)) return {};
  return response.substr(closed.at + close.size());
}

}  // namespace terse::rl
