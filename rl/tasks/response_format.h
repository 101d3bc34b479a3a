// Tells where the thinking of a response ends and its answer begins. The chat format of a model decides this, and no
// task: tasks and checks see the answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace terse::rl {

struct ResponseFormat {
  std::string open = {};   // the mark that begins the thinking; empty: every response begins inside it
  std::string close = {};  // the mark that ends it; empty: responses have no thinking, and all of them is answer
  // The prompt ends with the opening mark, as some chat templates write it, so every response begins inside the
  // thinking.
  bool opened_by_prompt = false;

  static ResponseFormat think_tags() { return {.open = "<think>", .close = "</think>"}; }

  // The part of a response that is its answer. Empty: the thinking does not end, there are several marks of one kind,
  // marks stand in the wrong order, or something stands before the opening mark. A response without any mark is all
  // answer, unless it begins inside the thinking. The view is part of `response`.
  std::optional<std::string_view> answer_of(std::string_view response) const;
};

}  // namespace terse::rl
