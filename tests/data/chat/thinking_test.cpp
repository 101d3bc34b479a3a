// Tests where the thinking of a model is taken to begin and end.
#include "data/chat/thinking.h"

#include <gtest/gtest.h>

namespace terse::data {
namespace {

TEST(Thinking, KnowsTheMarkersOfReleasedModels) {
  EXPECT_EQ(detect_thinking_markers("x '</think>' y").open, "<think>");
  EXPECT_EQ(detect_thinking_markers("x </seed:think> y").open, "<seed:think>");
  EXPECT_EQ(detect_thinking_markers("[THINK]x[/THINK]").close, "[/THINK]");
  EXPECT_EQ(detect_thinking_markers("</thinking>").open, "<thinking>");
  EXPECT_EQ(detect_thinking_markers("<|END_THINKING|>").open, "<|START_THINKING|>");
  EXPECT_FALSE(detect_thinking_markers("<think> is never closed").exist());
  EXPECT_FALSE(detect_thinking_markers("").exist());
}

TEST(Thinking, ReadsTheLastMarkerOfAPrompt) {
  const ThinkingMarkers markers{"<a>", "</a>"};
  EXPECT_EQ(thinking_state("x", markers), ThinkingState::kNotStarted);
  EXPECT_EQ(thinking_state("x<a>\n", markers), ThinkingState::kOpen);
  EXPECT_EQ(thinking_state("x<a></a>", markers), ThinkingState::kClosed);
  EXPECT_EQ(thinking_state("<a></a><a>", markers), ThinkingState::kOpen);
  EXPECT_EQ(thinking_state("</a>", markers), ThinkingState::kClosed);
  EXPECT_EQ(thinking_state("<a>", {}), ThinkingState::kNotStarted);
  EXPECT_EQ(thinking_state("##", {"", "##"}), ThinkingState::kClosed);
}

}  // namespace
}  // namespace terse::data
