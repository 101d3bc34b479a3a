// Finds the markers by content: a template that knows of thinking has the closing marker in its text.
#include "data/chat/thinking.h"

#include <array>
#include <utility>

namespace terse::data {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kKnown = {
    {{"<think>", "</think>"},                       // Qwen3, DeepSeek-R1, SmolLM3
     {"<thinking>", "</thinking>"},                 // Apriel
     {"<seed:think>", "</seed:think>"},             // Seed-OSS
     {"[THINK]", "[/THINK]"},                       // Magistral, Ministral
     {"<|START_THINKING|>", "<|END_THINKING|>"}}};  // Command A, Command R7B

}  // namespace

ThinkingMarkers detect_thinking_markers(std::string_view template_text) {
  for (const auto& [open, close] : kKnown) {
    if (template_text.find(close) != std::string_view::npos) return {std::string(open), std::string(close)};
  }
  return {};
}

ThinkingState thinking_state(std::string_view end_of_prompt, const ThinkingMarkers& markers) {
  if (!markers.exist()) return ThinkingState::kNotStarted;
  const size_t open = markers.open.empty() ? std::string_view::npos : end_of_prompt.rfind(markers.open);
  const size_t close = end_of_prompt.rfind(markers.close);
  if (close != std::string_view::npos && (open == std::string_view::npos || close > open))
    return ThinkingState::kClosed;
  return open == std::string_view::npos ? ThinkingState::kNotStarted : ThinkingState::kOpen;
}

}  // namespace terse::data
