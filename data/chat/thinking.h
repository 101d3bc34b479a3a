// Says where the thinking of a model ends and its answer begins. This belongs to the chat format and not to a task.
#pragma once

#include <string>
#include <string_view>

namespace terse::data {

// The texts around the thinking, such as "<think>" and "</think>". Both are empty for a format without thinking.
struct ThinkingMarkers {
  std::string open;
  std::string close;

  bool exist() const { return !close.empty(); }
};

// Returns the markers that a chat template writes or looks for, or none. It knows those of released models; a config
// sets any others.
ThinkingMarkers detect_thinking_markers(std::string_view template_text);

enum class ThinkingState {
  kNotStarted,  // the model may open its thinking
  kOpen,        // the prompt has opened it
  kClosed,      // the prompt has opened and closed it, so the model answers at once
};

// Returns what the end of a prompt leaves to the model.
ThinkingState thinking_state(std::string_view end_of_prompt, const ThinkingMarkers& markers);

}  // namespace terse::data
